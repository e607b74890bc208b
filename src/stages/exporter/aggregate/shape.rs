//! What is kept of the values of one series: a sum, or a histogram. All of it is words of a slice
//! that the table owns, so that recording never allocates.
//!
//! Values are whole numbers of the finest unit: nanoseconds, bytes, calls.

/// What is kept of an instrument's values.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Shape {
    /// Their sum.
    Sum,
    /// How many are at most each limit and above the one before; limits ascend.
    Explicit(Box<[u64]>),
    /// The same for limits that are powers of a base, which grows as the range does.
    Exponential(Exponential),
}

/// Limits of a base-2 exponential histogram.
/// See <https://opentelemetry.io/docs/specs/otel/metrics/data-model/#exponentialhistogram>.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Exponential {
    /// Buckets at most.
    pub(crate) max_size: u32,
    /// Scale at the start: the finest.
    pub(crate) max_scale: i32,
    /// What one of the finest unit is.
    pub(crate) unit: f64,
}

/// Buckets of an exponential histogram.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Buckets<'a> {
    /// Values that are 0.
    pub(crate) zeros: u64,
    /// The base is `2^(2^-scale)`.
    pub(crate) scale: i32,
    /// Index of the first bucket.
    pub(crate) offset: i32,
    /// Values of each bucket.
    pub(crate) counts: &'a [u64],
}

/// Words of a sum, which may exceed 64 bits: 10,000 pollers of half a minute reach that in 21 days.
const SUM: usize = 2;
/// Where a sum counts its values.
const COUNT: usize = SUM;
/// Words of a histogram's summary: the sum, the least and the greatest value.
const SUMMARY: usize = SUM + 2;
/// Words of an exponential histogram before its buckets: summary, zeros, scale, offset, length.
const HEAD: usize = SUMMARY + 4;
const ZEROS: usize = SUMMARY;
const SCALE: usize = SUMMARY + 1;
const OFFSET: usize = SUMMARY + 2;
const LENGTH: usize = SUMMARY + 3;

impl Shape {
    /// Words that it takes.
    pub(crate) fn width(&self) -> usize {
        match self {
            Self::Sum => SUM + 1,
            Self::Explicit(limits) => SUMMARY + limits.len() + 1,
            Self::Exponential(limits) => HEAD + limits.max_size as usize,
        }
    }

    /// Makes `cells` those of a series without values.
    pub(crate) fn clear(&self, cells: &mut [u64]) {
        cells.fill(0);
        if let Self::Exponential(limits) = self
            && let Some(scale) = cells.get_mut(SCALE)
        {
            *scale = i64::from(limits.max_scale).cast_unsigned();
        }
    }

    /// Adds a value.
    pub(crate) fn record(&self, cells: &mut [u64], value: u64) {
        match self {
            Self::Sum => {
                add(cells, value);
                if let Some(count) = cells.get_mut(COUNT) {
                    *count += 1;
                }
            }
            Self::Explicit(limits) => {
                let bucket = limits.iter().filter(|limit| **limit < value).count();
                let (summary, buckets) = cells.split_at_mut(SUMMARY.min(cells.len()));
                summarize(summary, buckets.iter().all(|n| *n == 0), value);
                if let Some(n) = buckets.get_mut(bucket) {
                    *n += 1;
                }
            }
            Self::Exponential(limits) => limits.record(cells, value),
        }
    }

    /// The sum.
    pub(crate) fn sum(cells: &[u64]) -> u128 {
        match cells {
            [low, high, ..] => u128::from(*high) << 64 | u128::from(*low),
            _ => 0,
        }
    }

    /// Values between limits, those above the last one last; none for another shape.
    pub(crate) fn buckets<'a>(&self, cells: &'a [u64]) -> &'a [u64] {
        match self {
            Self::Explicit(_) => cells.get(SUMMARY..).unwrap_or_default(),
            _ => &[],
        }
    }

    /// Number of values.
    pub(crate) fn count(&self, cells: &[u64]) -> u64 {
        match self {
            Self::Sum => cells.get(COUNT).copied().unwrap_or_default(),
            Self::Explicit(_) => self.buckets(cells).iter().sum(),
            Self::Exponential(_) => {
                let buckets = Exponential::buckets(cells);
                buckets.zeros + buckets.counts.iter().sum::<u64>()
            }
        }
    }

    /// Takes away what was there `before`, of the same series: what is left came since. The least and
    /// the greatest value stay those of the whole.
    pub(crate) fn subtract(&self, cells: &mut [u64], before: &[u64]) {
        let sum = Self::sum(cells).wrapping_sub(Self::sum(before));
        if let [low, high, ..] = cells {
            let mask = u128::from(u64::MAX);
            *low = u64::try_from(sum & mask).unwrap_or(u64::MAX);
            *high = u64::try_from(sum >> 64).unwrap_or(u64::MAX);
        }
        let first = match self {
            Self::Sum => COUNT,
            Self::Explicit(_) => SUMMARY,
            Self::Exponential(_) => return Exponential::subtract(cells, before),
        };
        for (cell, before) in cells.iter_mut().zip(before).skip(first) {
            *cell = cell.wrapping_sub(*before);
        }
    }

    /// The least and the greatest value of a histogram.
    pub(crate) fn range(cells: &[u64]) -> (u64, u64) {
        match cells {
            [_, _, min, max, ..] => (*min, *max),
            _ => (0, 0),
        }
    }
}

fn add(cells: &mut [u64], value: u64) {
    let [low, high, ..] = cells else { return };
    let (sum, carried) = low.overflowing_add(value);
    (*low, *high) = (sum, *high + u64::from(carried));
}

fn summarize(summary: &mut [u64], first: bool, value: u64) {
    add(summary, value);
    if let [_, _, min, max] = summary {
        *min = if first { value } else { value.min(*min) };
        *max = value.max(*max);
    }
}

impl Exponential {
    fn record(&self, cells: &mut [u64], value: u64) {
        let Some((head, buckets)) = cells.split_at_mut_checked(HEAD) else { return };
        let empty = head[ZEROS] == 0 && head[LENGTH] == 0;
        summarize(&mut head[..SUMMARY], empty, value);
        if value == 0 {
            head[ZEROS] += 1;
            return;
        }
        #[expect(clippy::cast_precision_loss, reason = "a bucket is wider than the last bit")]
        let value = value as f64 * self.unit;
        let mut scale = signed(head[SCALE]);
        let mut index = index_of(value, scale);
        let (mut first, mut length) = (signed(head[OFFSET]), length_of(head));
        if length == 0 {
            first = index;
        }
        // Halve the resolution until the range fits.
        let needed = |first: i32, length: usize, index: i32| {
            let last = first + i32::try_from(length).unwrap_or(i32::MAX).max(1) - 1;
            (i64::from(last.max(index)) - i64::from(first.min(index)) + 1).cast_unsigned()
        };
        while needed(first, length, index) > u64::from(self.max_size) && scale > SCALE_MIN {
            merge_pairs(buckets, &mut first, &mut length);
            scale -= 1;
            index = index_of(value, scale);
        }
        if index < first {
            let by = usize::try_from(first - index).unwrap_or(0);
            buckets.copy_within(0..length.min(buckets.len() - by), by);
            buckets[..by].fill(0);
            (first, length) = (index, length + by);
        }
        let at = usize::try_from(index - first).unwrap_or(0);
        length = length.max(at + 1);
        if let Some(n) = buckets.get_mut(at) {
            *n += 1;
        }
        head[SCALE] = i64::from(scale).cast_unsigned();
        head[OFFSET] = i64::from(first).cast_unsigned();
        head[LENGTH] = length as u64;
    }

    /// Takes away the buckets of `before`, which were as fine or finer.
    fn subtract(cells: &mut [u64], before: &[u64]) {
        let old = Self::buckets(before);
        let Some((head, buckets)) = cells.split_at_mut_checked(HEAD) else { return };
        head[ZEROS] = head[ZEROS].wrapping_sub(old.zeros);
        let coarser = old.scale - signed(head[SCALE]);
        for (index, count) in (old.offset..).zip(old.counts) {
            let at = usize::try_from((index >> coarser) - signed(head[OFFSET]));
            if let Some(n) = at.ok().and_then(|at| buckets.get_mut(at)) {
                *n = n.wrapping_sub(*count);
            }
        }
    }

    /// Buckets as they go out.
    pub(crate) fn buckets(cells: &[u64]) -> Buckets<'_> {
        let Some((head, buckets)) = cells.split_at_checked(HEAD) else {
            return Buckets { zeros: 0, scale: 0, offset: 0, counts: &[] };
        };
        Buckets {
            zeros: head[ZEROS],
            scale: signed(head[SCALE]),
            offset: signed(head[OFFSET]),
            counts: buckets.get(..length_of(head)).unwrap_or_default(),
        }
    }
}

/// The coarsest scale of the specification: one bucket then holds what an `f64` can.
const SCALE_MIN: i32 = -10;

/// Buckets that are in use.
fn length_of(head: &[u64]) -> usize {
    head.get(LENGTH).and_then(|n| usize::try_from(*n).ok()).unwrap_or_default()
}

fn signed(word: u64) -> i32 {
    i32::try_from(word.cast_signed()).unwrap_or(0)
}

/// Bucket of a value above 0: `base^index < value <= base^(index + 1)`.
fn index_of(value: f64, scale: i32) -> i32 {
    let index = (value.log2() * f64::from(scale).exp2()).ceil() - 1.0;
    #[expect(clippy::cast_possible_truncation, reason = "saturates far outside of what occurs")]
    let index = index as i32;
    index
}

/// Makes one bucket of two neighbours: the base is squared.
fn merge_pairs(buckets: &mut [u64], first: &mut i32, length: &mut usize) {
    let offset = first.rem_euclid(2).unsigned_abs() as usize;
    *first = first.div_euclid(2);
    let merged = (*length + offset).div_ceil(2);
    for at in 0..merged {
        let pair = [(2 * at).checked_sub(offset), (2 * at + 1).checked_sub(offset)];
        let n = pair.into_iter().flatten().filter(|i| i < length).map(|i| buckets[i]).sum();
        buckets[at] = n;
    }
    if let Some(rest) = buckets.get_mut(merged..*length) {
        rest.fill(0);
    }
    *length = merged;
}

#[cfg(test)]
mod tests {
    use super::*;

    fn recorded(shape: &Shape, values: &[u64]) -> Vec<u64> {
        let mut cells = vec![7; shape.width()];
        shape.clear(&mut cells);
        values.iter().for_each(|value| shape.record(&mut cells, *value));
        cells
    }

    #[test]
    fn a_sum_goes_beyond_64_bits() {
        let cells = recorded(&Shape::Sum, &[u64::MAX, u64::MAX, 3]);
        assert_eq!(Shape::sum(&cells), 2 * u128::from(u64::MAX) + 3);
    }

    #[test]
    fn limits_are_upper_and_inclusive_and_what_is_above_the_last_is_counted() {
        let shape = Shape::Explicit([0, 10, 20].into());
        let cells = recorded(&shape, &[0, 1, 10, 11, 20, 21, 1000]);
        assert_eq!(shape.buckets(&cells), [1, 2, 2, 2]);
        assert_eq!((shape.count(&cells), Shape::sum(&cells)), (7, 1063));
        assert_eq!(Shape::range(&cells), (0, 1000));
    }

    #[test]
    fn the_least_value_is_that_of_the_first_and_not_what_an_empty_series_holds() {
        let shape = Shape::Explicit([10].into());
        assert_eq!(Shape::range(&recorded(&shape, &[5, 9])), (5, 9));
        assert_eq!(shape.count(&recorded(&shape, &[])), 0);
    }

    /// Every value lies in the bucket whose limits the specification gives, whatever came before it.
    #[test]
    fn exponential_buckets_hold_their_values_and_the_range_always_fits() {
        for max_size in [2, 3, 4, 160] {
            let limits = Exponential { max_size, max_scale: 20, unit: 1e-9 };
            let shape = Shape::Exponential(limits);
            let mut noise = 1_u64;
            let values: Vec<u64> = (0..500)
                .map(|n| {
                    noise = noise.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(n | 1);
                    noise >> (noise % 60)
                })
                .collect();
            let cells = recorded(&shape, &values);
            let Buckets { zeros, scale, offset, counts } = Exponential::buckets(&cells);
            let mut expected = vec![0; counts.len()];
            for value in values.iter().filter(|value| **value > 0) {
                let index = index_of(*value as f64 * 1e-9, scale);
                expected[usize::try_from(index - offset).unwrap()] += 1;
            }
            assert_eq!(counts, expected, "{max_size}");
            assert_eq!(zeros, values.iter().filter(|value| **value == 0).count() as u64);
            assert_eq!(shape.count(&cells), 500);
            assert!(counts.len() <= max_size as usize);
        }
    }

    #[test]
    fn what_was_there_before_can_be_taken_away() {
        let limits = Exponential { max_size: 8, max_scale: 20, unit: 1.0 };
        for shape in [Shape::Sum, Shape::Explicit([5, 50].into()), Shape::Exponential(limits)] {
            let before = recorded(&shape, &[0, 3, 4, 70]);
            let mut cells = recorded(&shape, &[0, 3, 4, 70, 3, 900, 0]);
            shape.subtract(&mut cells, &before);
            assert_eq!((shape.count(&cells), Shape::sum(&cells)), (3, 903), "{shape:?}");
            if shape == Shape::Explicit([5, 50].into()) {
                assert_eq!(shape.buckets(&cells), [2, 0, 1]);
            }
            if let Shape::Exponential(_) = shape {
                let Buckets { zeros, scale, offset, counts } = Exponential::buckets(&cells);
                let at = |value| usize::try_from(index_of(value, scale) - offset).unwrap();
                assert_eq!((zeros, counts[at(3.0)], counts[at(900.0)]), (1, 1, 1));
            }
        }
    }

    #[test]
    fn powers_of_the_base_are_upper_limits() {
        assert_eq!(
            [index_of(1.0, 0), index_of(1.5, 0), index_of(2.0, 0), index_of(4.0, 0)],
            [-1, 0, 0, 1]
        );
        assert_eq!(index_of(4.0, 1), 3);
        assert_eq!(index_of(4.0, -1), 0);
    }
}
