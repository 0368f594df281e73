package streaming.state;

import java.io.IOException;
import java.math.BigInteger;
import java.nio.file.Files;
import java.nio.file.attribute.PosixFilePermissions;
import java.security.SecureRandom;
import java.util.Optional;
import org.apache.flink.configuration.Configuration;
import org.apache.flink.core.fs.Path;

/** What a request to REST must know to change anything: made once for each cluster, and kept beside its record. */
final class Token {
    private static final String NAME = "rest-token";
    private static final int BITS = 192;

    private Token() {}

    /** Make the token if there is none, and put it where scripts of this container read it. */
    static void provide(Configuration configuration) throws IOException {
        java.nio.file.Path file = java.nio.file.Path.of(configuration.get(RecordOptions.LOCAL), NAME);
        Files.deleteIfExists(file);
        Files.createFile(file, PosixFilePermissions.asFileAttribute(PosixFilePermissions.fromString("rw-------")));
        Files.writeString(file, read(configuration));
    }

    /** The token, made if there is none. */
    static String read(Configuration configuration) throws IOException {
        Path kept = new Path(configuration.get(RecordOptions.DIRECTORY), NAME);
        Optional<String> known = Storage.read(kept);
        if (known.isPresent() && !known.get().isEmpty()) {
            return known.get();
        }
        try {
            Storage.create(kept, new BigInteger(BITS, new SecureRandom()).toString(Character.MAX_RADIX));
        } catch (IOException error) {
            if (Storage.read(kept).isEmpty()) {
                throw error; // else another process was quicker
            }
        }
        return Storage.read(kept).orElseThrow();
    }
}
