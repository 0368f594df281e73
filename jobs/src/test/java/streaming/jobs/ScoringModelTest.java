package streaming.jobs;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.Arrays;
import java.util.Collections;
import java.util.List;
import java.util.Random;
import org.junit.jupiter.api.RepeatedTest;
import org.junit.jupiter.api.RepetitionInfo;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

class ScoringModelTest {

    private static ScoringModel over(double... features) {
        ScoringModel model = ScoringModel.EMPTY;
        for (double feature : features) {
            model = model.add(feature);
        }
        return model;
    }

    private static ScoringModel merged(List<ScoringModel> models) {
        return models.stream().reduce(ScoringModel.EMPTY, ScoringModel::merge);
    }

    private static void assertSame(ScoringModel expected, ScoringModel actual) {
        assertEquals(expected.count(), actual.count());
        assertEquals(expected.mean(), actual.mean(), 1e-9);
        assertEquals(expected.m2(), actual.m2(), 1e-9 * Math.max(1, expected.m2()));
    }

    @Test
    void itIsMeanAndDeviation() {
        ScoringModel model = over(2, 4, 4, 4, 5, 5, 7, 9);
        assertSame(new ScoringModel(8, 5, 32), model);
        assertEquals(2.0, model.score(9), 1e-12);
        assertEquals(-1.5, model.score(2), 1e-12);
    }

    @Test
    void thereIsNoScoreBeforeClaimsDiffer() {
        assertEquals(0, ScoringModel.EMPTY.score(3));
        assertEquals(0, over(1, 1, 1).score(3));
    }

    @RepeatedTest(20)
    void modelsOverPartsMergeIntoTheModelOverAll(RepetitionInfo repetition) {
        Random random = new Random(repetition.getCurrentRepetition());
        double[] features = random.doubles(random.nextInt(500), 0, 8).toArray();
        ScoringModel[] parts = new ScoringModel[1 + random.nextInt(8)];
        Arrays.fill(parts, ScoringModel.EMPTY);
        for (double feature : features) {
            int part = random.nextInt(parts.length);
            parts[part] = parts[part].add(feature);
        }
        assertSame(over(features), merged(Arrays.asList(parts)));
    }

    @ParameterizedTest
    @ValueSource(ints = {1, 2, 3, 7, 128, 32_768})
    void splitAndMergedItIsTheSame(int parts) {
        ScoringModel model = over(new Random(parts).doubles(1_000, 0, 8).toArray());
        List<ScoringModel> split = model.split(parts);
        assertEquals(Math.min(parts, 1_000), split.size());
        assertSame(model, merged(split));
        Collections.shuffle(split, new Random(parts));
        assertSame(model, merged(split));
    }

    @Test
    void partsAreEvenAndScoreAlike() {
        ScoringModel model = over(1, 2, 3, 4, 5, 6, 7);
        List<ScoringModel> split = model.split(3);
        assertEquals(List.of(3L, 2L, 2L), split.stream().map(ScoringModel::count).toList());
        for (ScoringModel part : split) {
            assertEquals(model.score(9), part.score(9), 1e-12);
        }
        assertTrue(ScoringModel.EMPTY.split(3).isEmpty());
    }
}
