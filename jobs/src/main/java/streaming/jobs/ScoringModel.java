package streaming.jobs;

import java.util.ArrayList;
import java.util.List;

/**
 * Counter and online model in one: count, mean and squared deviations of what was seen (Welford's algorithm).
 *
 * <p>Models over disjoint sets of claims merge into the model over all of them (Chan's formula), and one splits into
 * several that merge into it again. That is what lets the state follow any change of parallelism.
 *
 * @param count claims seen
 * @param mean mean of their feature
 * @param m2 sum of squared deviations from the mean
 */
public record ScoringModel(long count, double mean, double m2) {

    static final ScoringModel EMPTY = new ScoringModel(0, 0, 0);

    /** This model, one claim later. */
    ScoringModel add(double feature) {
        long newCount = count + 1;
        double delta = feature - mean;
        double newMean = mean + delta / newCount;
        return new ScoringModel(newCount, newMean, m2 + delta * (feature - newMean));
    }

    /** Distance from the mean in standard deviations; 0 until the claims seen differ. */
    double score(double feature) {
        if (count == 0 || m2 <= 0) {
            return 0;
        }
        return (feature - mean) / Math.sqrt(m2 / count);
    }

    /** The model over the claims of both. */
    ScoringModel merge(ScoringModel other) {
        if (count == 0) {
            return other;
        }
        if (other.count == 0) {
            return this;
        }
        long total = count + other.count;
        double delta = other.mean - mean;
        double share = (double) other.count / total;
        return new ScoringModel(total, mean + delta * share, m2 + other.m2 + delta * delta * share * count);
    }

    /** Up to so many models, none of them empty, as even as whole claims allow. */
    List<ScoringModel> split(int parts) {
        List<ScoringModel> models = new ArrayList<>(parts);
        for (int i = 0; i < parts; i++) {
            long size = count / parts + (i < count % parts ? 1 : 0);
            if (size > 0) {
                models.add(new ScoringModel(size, mean, m2 * size / count));
            }
        }
        return models;
    }
}
