package streaming.jobs;

/**
 * What is kept of a payload once it was read.
 *
 * @param bytes its size
 * @param entropy Shannon entropy in bits for each byte, 0 to 8: low for text, high for what is compressed or encrypted
 */
record Payload(long bytes, double entropy) {

    /** From how often each of the 256 byte values occurs. */
    static Payload of(long[] histogram) {
        long bytes = 0;
        for (long occurrences : histogram) {
            bytes += occurrences;
        }
        double entropy = 0;
        for (long occurrences : histogram) {
            if (occurrences > 0) {
                double share = (double) occurrences / bytes;
                entropy -= share * Math.log(share) / Math.log(2);
            }
        }
        return new Payload(bytes, entropy);
    }
}
