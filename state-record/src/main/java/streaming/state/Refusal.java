package streaming.state;

import java.io.IOException;

/** The job does not start. The message says why, and what to do. */
class Refusal extends IOException {
    Refusal(String message) {
        super(message);
    }

    /** The job ended before, and nobody asked for it to go on. */
    static final class Ended extends Refusal {
        Ended(String message) {
            super(message);
        }
    }
}
