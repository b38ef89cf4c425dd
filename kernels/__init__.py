"""Operations of a denoising step, one file each: PyTorch reference, Triton kernel, and the function that chooses."""
