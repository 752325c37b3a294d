// Medians and means, and their ratios with the uncertainty.

const RESAMPLES = 2000;

export function median(values) {
  return quantile(values, 0.5);
}

export function quantile(values, part) {
  const sorted = Float64Array.from(values).sort();
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * part))];
}

export function mean(values) {
  return values.reduce((sum, value) => sum + value, 0) / values.length;
}

/** The ratio of medians or means and its 95 % interval, by the percentile bootstrap (Efron and Tibshirani, 1993, chapter 13). */
export function ratioOf(statistic, values, reference) {
  const resampled = (from) => statistic(Float64Array.from(from, () => from[Math.floor(Math.random() * from.length)]));
  const ratios = Float64Array.from({ length: RESAMPLES }, () => resampled(values) / resampled(reference)).sort();
  const interval = [ratios[Math.floor(RESAMPLES * 0.025)], ratios[Math.floor(RESAMPLES * 0.975)]];
  return { ratio: statistic(values) / statistic(reference), interval };
}

export function shuffle(list) {
  for (let at = list.length - 1; at > 0; at -= 1) {
    const other = Math.floor(Math.random() * (at + 1));
    [list[at], list[other]] = [list[other], list[at]];
  }
  return list;
}
