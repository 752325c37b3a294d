// Medians, and ratios of medians with their uncertainty.

const RESAMPLES = 2000;

export function median(values) {
  return quantile(values, 0.5);
}

export function quantile(values, part) {
  const sorted = Float64Array.from(values).sort();
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * part))];
}

/** The ratio of two medians and its 95 % interval, by the percentile bootstrap (Efron and Tibshirani, 1993, chapter 13). */
export function ratioOfMedians(values, reference) {
  const resampled = (from) => {
    const sample = new Float64Array(from.length);
    for (let at = 0; at < sample.length; at += 1) sample[at] = from[Math.floor(Math.random() * from.length)];
    return sample.sort()[Math.floor(sample.length / 2)];
  };
  const ratios = Float64Array.from({ length: RESAMPLES }, () => resampled(values) / resampled(reference)).sort();
  const interval = [ratios[Math.floor(RESAMPLES * 0.025)], ratios[Math.floor(RESAMPLES * 0.975)]];
  return { ratio: median(values) / median(reference), interval };
}

export function shuffle(list) {
  for (let at = list.length - 1; at > 0; at -= 1) {
    const other = Math.floor(Math.random() * (at + 1));
    [list[at], list[other]] = [list[other], list[at]];
  }
  return list;
}
