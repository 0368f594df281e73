package streaming.jobs;

/**
 * A scored claim.
 *
 * @param bytes size of the payload
 * @param score by how many standard deviations the payload's entropy differs from those seen before
 * @param count claims in the state of the subtask that scored this one, this one included; the sum over the subtasks
 *     is the metric {@code claims}
 */
public record Result(String id, String location, String name, long bytes, double score, long count) {}
