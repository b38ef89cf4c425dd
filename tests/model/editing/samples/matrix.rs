use std::fmt;

/// A small matrix, row by row.
#[derive(Clone, Debug)]
pub struct Matrix {
    rows: usize,
    data: Vec<f64>,
}

impl Matrix {
    pub fn new(rows: usize, columns: usize) -> Self {
        let data = vec![0.0; rows * columns];
        Matrix { rows, data }
    }

    #[inline]
    pub fn columns(&self) -> usize {
        if self.rows == 0 {
            return 0;
        }
        self.data.len() / self.rows
    }

    pub fn scale(&mut self, factor: f64) {
        for value in self.data.iter_mut() {
            *value *= factor;
        }
    }
}

impl fmt::Display for Matrix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let columns = self.columns();
        for (i, value) in self.data.iter().enumerate() {
            let end = if (i + 1) % columns == 0 { "\n" } else { " " };
            write!(f, "{}{}", value, end)?;
        }
        Ok(())
    }
}

pub fn trace(matrix: &Matrix) -> f64 {
    let columns = matrix.columns();
    let mut sum = 0.0;
    for i in 0..matrix.rows.min(columns) {
        sum += matrix.data[i * columns + i];
    }
    sum
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn trace_of_zero() {
        let matrix = Matrix::new(2, 2);
        assert_eq!(trace(&matrix), 0.0);
    }
}
