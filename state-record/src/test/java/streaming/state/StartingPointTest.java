package streaming.state;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.FileTime;
import java.time.Instant;
import java.util.List;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** What a job starts from, over the life of one volume. */
class StartingPointTest {
    private static final String JOB = "a".repeat(32);
    private static final String OTHER = "b".repeat(32);

    @TempDir Path volume;
    private StateRecord record;
    private Leftovers leftovers;

    @BeforeEach
    void open() {
        record = new StateRecord(at("record"));
        leftovers = new Leftovers(at("checkpoints"), at("savepoints"));
    }

    @Test
    void aJobThatNeverRanStartsFromNothing() throws IOException {
        assertNull(start("").state());
    }

    @Test
    void aJobGoesOnFromItsNewestState() throws IOException {
        StateRecord.Start first = start("");
        complete(first, 1);
        complete(first, 2);
        StateRecord.Start second = start("");
        assertEquals(uri(2), second.state());
        assertTrue(second.owned());
        assertEquals(2, second.highest());
    }

    @Test
    void aJobThatCompletedNothingGoesOnFromWhereItBegan() throws IOException {
        complete(start(""), 1);
        start("");
        assertEquals(uri(1), start("").state());
    }

    @Test
    void theTimesOfFilesSayNothing() throws IOException {
        StateRecord.Start first = start("");
        complete(first, 8);
        complete(first, 9);
        touch(8, 3600);
        assertEquals(uri(9), start("").state());
    }

    @Test
    void numbersThatRepeatSayNothing() throws IOException {
        complete(start(""), 115);
        StateRecord.Start back = start(savepoint("savepoint-1"));
        assertEquals(115, back.highest());
        complete(back, 116);
        assertEquals(uri(116), start("").state());
    }

    @Test
    void aNamedStateCountsOnce() throws IOException {
        complete(start(""), 5);
        String named = savepoint("savepoint-1");
        StateRecord.Start back = start(named);
        assertEquals(named, back.state());
        assertFalse(back.owned(), "Flink must not delete what a person named");
        complete(back, 6);
        assertEquals(uri(6), start(named).state());
        assertEquals(uri(6), start("").state(), "taking it away changes nothing");
        assertEquals(named, start(named + "#2").state(), "it was asked for again");
    }

    @Test
    void aNamedStateOfThatStartStaysNobodysUntilTheJobHasItsOwn() throws IOException {
        String named = savepoint("savepoint-1");
        start(named);
        StateRecord.Start again = start(named);
        assertEquals(named, again.state());
        assertFalse(again.owned());
    }

    @Test
    void nothingCanBeAskedForByName() throws IOException {
        complete(start(""), 5);
        StateRecord.Start fresh = start("nothing");
        assertNull(fresh.state());
        assertEquals(5, fresh.highest(), "numbers go on, so that no folder is used twice");
        complete(fresh, 6);
        assertEquals(uri(6), start("nothing").state());
    }

    @Test
    void aNamedStateThatIsNotThereIsRefused() throws IOException {
        complete(start(""), 5);
        String missing = at("savepoints") + "/savepoint-2";
        assertTrue(refusal(missing).getMessage().contains("no completed savepoint"));
        assertEquals(uri(5), start("").state(), "and nothing was recorded");
    }

    @Test
    void aNewestStateThatIsGoneIsRefused() throws IOException {
        complete(start(""), 5);
        checkpoint(JOB, 4, 0);
        Files.delete(volume.resolve("checkpoints/" + JOB + "/chk-5/_metadata"));
        String told = refusal("").getMessage();
        assertTrue(told.contains("chk-5") && told.contains("chk-4") && told.contains("restoreFrom"), told);
        assertEquals(uri(4), start(uri(4)).state());
    }

    @Test
    void aDirectoryThatCannotBeListedIsAnErrorAndNotNothing() throws IOException {
        complete(start(""), 5);
        Path hidden = volume.resolve("record");
        Files.move(hidden, volume.resolve("elsewhere"));
        Files.createFile(hidden); // a file: listing it fails, whoever asks (root may list everything)
        assertThrows(IOException.class, () -> start(""));
    }

    @Test
    void aJobThatEndedStaysSoUntilItIsAskedToGoOn() throws IOException {
        StateRecord.Start first = start("");
        complete(first, 5);
        String stopped = savepoint("savepoint-aaaaaa-1");
        record.ended(first, "FINISHED", stopped);
        Refusal told = refusal("");
        assertTrue(told instanceof Refusal.Ended);
        assertTrue(told.getMessage().endsWith("set restoreFrom: " + stopped), told.getMessage());
        assertEquals(stopped, start(stopped).state());
        assertEquals(stopped, start(stopped).state(), "it runs on now");
    }

    @Test
    void theSameEndTwiceNeedsAnotherRequest() throws IOException {
        record.ended(start(""), "FINISHED", null);
        assertTrue(refusal("").getMessage().endsWith("set restoreFrom: nothing"));
        record.ended(start("nothing"), "FINISHED", null);
        assertTrue(refusal("nothing").getMessage().endsWith("set restoreFrom: nothing#2"));
        record.ended(start("nothing#2"), "FINISHED", null);
        assertTrue(refusal("nothing#2").getMessage().endsWith("set restoreFrom: nothing#3"));
    }

    @Test
    void aJobThatFailedGoesOn() throws IOException {
        complete(start(""), 5);
        assertEquals(uri(5), start("").state(), "nothing says that it ended");
    }

    @Test
    void whatIsNotWholeWasNeverCompleted() throws IOException {
        StateRecord.Start first = start("");
        complete(first, 5);
        Files.writeString(volume.resolve("record/0000000001/newest-6"), "{\"sta");
        Files.createDirectories(volume.resolve("record/0000000002"));
        Files.createFile(volume.resolve("record/0000000002/start"));
        StateRecord.Start second = start("");
        assertEquals(uri(5), second.state());
        assertEquals(3, second.number());
        assertTrue(record.superseded(first));
        assertFalse(record.superseded(second));
    }

    @Test
    void whoeverWasOvertakenIsTold() throws IOException {
        StateRecord.Start first = start("");
        var before = record.read();
        StartingPoint from = StartingPoint.decide(before, leftovers, JOB, "");
        start("");
        assertThrows(IOException.class, () -> record.begin(before, from));
        assertTrue(record.superseded(first));
    }

    @Test
    void startsOfLongAgoGoAndTheirRequestsStay() throws IOException {
        String named = savepoint("savepoint-1");
        complete(start(named), 1);
        for (int n = 0; n < 30; n++) {
            start(named);
            record.prune();
        }
        try (var kept = Files.list(volume.resolve("record"))) {
            assertEquals(10, kept.count());
        }
        assertEquals(uri(1), start(named).state());
    }

    @Test
    void aVolumeFromBeforeThereWereRecordsIsTakenOver() throws IOException {
        checkpoint(JOB, 119, 0);
        StateRecord.Start first = start("");
        assertEquals(uri(119), first.state());
        assertTrue(first.owned());
    }

    @Test
    void theCheckpointOfAnotherJobIdStaysWhereItIs() throws IOException {
        checkpoint(OTHER, 7, 0);
        assertFalse(start("").owned());
    }

    @Test
    void withoutARecordDoubtIsRefused() throws IOException {
        checkpoint(JOB, 129, 0);
        checkpoint(JOB, 104, 3600);
        String told = refusal("").getMessage();
        assertTrue(told.contains("chk-129") && told.contains("chk-104") && told.contains("restoreFrom"), told);
        assertEquals(uri(129), start(uri(129)).state());
    }

    @Test
    void withoutARecordASavepointIsNotNothing() throws IOException {
        savepoint("savepoint-1");
        assertTrue(refusal("").getMessage().contains("savepoint-1"));
        assertNull(start("nothing").state());
    }

    private StateRecord.Start start(String asked) throws IOException {
        var before = record.read();
        return record.begin(before, StartingPoint.decide(before, leftovers, JOB, asked));
    }

    private Refusal refusal(String asked) {
        return assertThrows(Refusal.class, () -> start(asked));
    }

    private void complete(StateRecord.Start start, long id) throws IOException {
        checkpoint(JOB, id, 0);
        record.completed(start, new StateRecord.State(uri(id), id));
    }

    private void checkpoint(String job, long id, long newerBySeconds) throws IOException {
        Path directory = Files.createDirectories(volume.resolve("checkpoints/" + job + "/chk-" + id));
        Files.writeString(directory.resolve("_metadata"), "");
        if (job.equals(JOB)) {
            touch(id, newerBySeconds);
        }
    }

    private void touch(long id, long newerBySeconds) throws IOException {
        Path metadata = volume.resolve("checkpoints/" + JOB + "/chk-" + id + "/_metadata");
        Files.setLastModifiedTime(metadata, FileTime.from(Instant.now().plusSeconds(newerBySeconds)));
    }

    private String savepoint(String name) throws IOException {
        Path directory = Files.createDirectories(volume.resolve("savepoints/" + name));
        Files.writeString(directory.resolve("_metadata"), "");
        return at("savepoints/" + name).toString();
    }

    private String uri(long id) {
        return at("checkpoints/" + JOB + "/chk-" + id).toString();
    }

    private org.apache.flink.core.fs.Path at(String path) {
        return new org.apache.flink.core.fs.Path("file://" + volume.resolve(path));
    }

    /** The numbers that a start gives out. */
    @Test
    void numbersOfCheckpointsOnlyRise() throws Exception {
        RisingCounter counter = new RisingCounter(120);
        counter.setCount(60);
        assertEquals(List.of(121L, 122L), List.of(counter.getAndIncrement(), counter.getAndIncrement()));
        counter.setCount(200);
        assertEquals(200, counter.getAndIncrement());
    }
}
