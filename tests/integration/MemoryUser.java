import java.io.IOException;
import java.lang.management.BufferPoolMXBean;
import java.lang.management.ManagementFactory;
import java.lang.reflect.Field;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import sun.misc.Unsafe;

/**
 * An agent that uses the memory of a TaskManager as a job does: once the network buffers are there, it fills the heap,
 * then it takes native memory, so many MiB as its argument says. It says so on standard output.
 */
public class MemoryUser {
    private static final int MIB = 1024 * 1024;
    private static final List<byte[]> KEPT = new ArrayList<>();

    public static void premain(String nativeMib) {
        Thread thread = new Thread(() -> use(Integer.parseInt(nativeMib)), "memory-user");
        thread.setDaemon(true);
        thread.start();
    }

    private static void use(int nativeMib) {
        try {
            while (direct() < 60L * MIB) {
                Thread.sleep(100);
            }
            Runtime runtime = Runtime.getRuntime();
            while (runtime.totalMemory() - runtime.freeMemory() < runtime.maxMemory() / 100 * 85) {
                KEPT.add(new byte[MIB / 4]);
            }
            report("heap is full");
            Field field = Unsafe.class.getDeclaredField("theUnsafe");
            field.setAccessible(true);
            Unsafe unsafe = (Unsafe) field.get(null);
            for (int mib = 0; mib < nativeMib; mib++) {
                unsafe.setMemory(unsafe.allocateMemory(MIB), MIB, (byte) 1); // pages that are written to count
            }
            report("native memory is taken");
        } catch (ReflectiveOperationException | IOException | InterruptedException e) {
            throw new IllegalStateException(e);
        }
    }

    private static long direct() {
        return ManagementFactory.getPlatformMXBeans(BufferPoolMXBean.class).stream()
                .filter(pool -> pool.getName().equals("direct"))
                .mapToLong(BufferPoolMXBean::getMemoryUsed)
                .sum();
    }

    private static void report(String what) throws IOException {
        for (String line : Files.readAllLines(Path.of("/proc/self/status"))) {
            if (line.startsWith("VmRSS")) {
                System.out.println("memory-user: " + what + ", " + line);
            }
        }
    }
}
