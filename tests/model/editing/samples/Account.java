package bank;

import java.util.ArrayList;
import java.util.List;

/** An account with a history. */
public class Account {
    private final String owner;
    private long balance;
    private final List<Long> history = new ArrayList<>();

    public Account(String owner, long balance) {
        this.owner = owner;
        this.balance = balance;
    }

    public void deposit(long amount) {
        if (amount <= 0) {
            throw new IllegalArgumentException("amount: " + amount);
        }
        balance += amount;
        history.add(amount);
    }

    @Override
    public String toString() {
        String text = owner + ": " + balance;
        return text.trim();
    }

    public static <T extends Comparable<T>> T largest(List<T> values, T start) {
        T best = start;
        for (T value : values) {
            if (value.compareTo(best) > 0) {
                best = value;
            }
        }
        return best;
    }

    enum State {
        OPEN,
        CLOSED;

        boolean usable() {
            boolean open = this == OPEN;
            return open;
        }
    }
}
