package streaming.jobs;

/** A record that cannot be scored, through no fault of the job's. */
final class RejectedClaimException extends Exception {

    private static final long serialVersionUID = 1L;

    private final RejectionReason reason;

    /** Without a stack trace: it says nothing here, and a topic full of bad records would pay for it. */
    RejectedClaimException(RejectionReason reason, String detail) {
        super(detail, null, false, false);
        this.reason = reason;
    }

    RejectionReason reason() {
        return reason;
    }
}
