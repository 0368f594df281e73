package streaming.state;

import java.util.concurrent.Executor;
import org.apache.flink.configuration.Configuration;
import org.apache.flink.configuration.HighAvailabilityOptions;
import org.apache.flink.runtime.highavailability.HighAvailabilityServices;
import org.apache.flink.runtime.highavailability.HighAvailabilityServicesFactory;
import org.apache.flink.runtime.highavailability.HighAvailabilityServicesUtils;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/** What high-availability.type names: leaders are elected as Flink does it, and state is found by the record. */
public final class RecordedHighAvailabilityFactory implements HighAvailabilityServicesFactory {
    private static final Logger LOG = LoggerFactory.getLogger(RecordedHighAvailabilityFactory.class);

    @Override
    public HighAvailabilityServices createHAServices(Configuration configuration, Executor executor) throws Exception {
        Configuration election = new Configuration(configuration);
        election.set(HighAvailabilityOptions.HA_MODE, configuration.get(RecordOptions.ELECTION));
        HighAvailabilityServices elected =
                HighAvailabilityServicesUtils.createAvailableOrEmbeddedServices(
                        election, executor, RecordedHighAvailabilityFactory::end);
        Token.provide(configuration);
        return new RecordedHighAvailability(elected, new JobStates(configuration));
    }

    /** As Flink itself does where its connection to the ensemble fails for good. */
    private static void end(Throwable error) {
        LOG.error("Leader election failed for good: this process ends", error);
        Ending.exit();
    }
}
