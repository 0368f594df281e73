package streaming.state;

import org.apache.flink.configuration.ConfigOption;
import org.apache.flink.configuration.ConfigOptions;

/** The options of config.yaml that are ours, and not Flink's. */
final class RecordOptions {
    /** Where leaders are elected: {@code zookeeper} or {@code kubernetes}, as Flink's high-availability.type. */
    static final ConfigOption<String> ELECTION =
            ConfigOptions.key("platform.election").stringType().noDefaultValue();

    /** URI of the directory that holds the record, beside the checkpoints. */
    static final ConfigOption<String> DIRECTORY =
            ConfigOptions.key("platform.state-record").stringType().noDefaultValue();

    /**
     * What the job shall start from, once: the URI of a savepoint or retained checkpoint, or {@code nothing}; either
     * may end in {@code #} and any text, which makes it another request.
     */
    static final ConfigOption<String> RESTORE_FROM =
            ConfigOptions.key("platform.restore-from").stringType().defaultValue("");

    /** Directory of this container alone, for what its scripts read: why the job does not run, and the REST token. */
    static final ConfigOption<String> LOCAL =
            ConfigOptions.key("platform.local-directory").stringType().noDefaultValue();

    private RecordOptions() {}
}
