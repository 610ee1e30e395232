//! Decoys: indexes that no token gets and that a published list marks all the same, so that the
//! number of marks does not tell how many tokens were revoked (the privacy considerations of the draft).
//!
//! Everything follows from a random seed, one a list and kept with its id, so that every node of a
//! region marks the same decoys at the same time and none is ever taken back. A new list has
//! between 64 and 1,087 of them. From then on the time since the list was drawn is cut into steps
//! of ten seconds, and in three steps of four nothing is added; in the others 1, 2, 4 … 256, each
//! half as often as the one before. So any count of marks that appear at once may be decoys, small
//! ones often and large ones now and then. What this cannot hide is a revocation of thousands.

use std::fmt;

use aws_lc_rs::hmac;

use crate::revocation::LIST_SIZE;

/// Indexes of one list that are kept for decoys. A day of steps takes some 11,400 (with a standard
/// deviation of 900), and a list is in use for a day.
pub const DECOYS_MAX: usize = 1 << 14;
/// Seconds of one step.
pub const STEP_SECONDS: u64 = 10;
/// Decoys of a new list, at least.
const FIRST_MIN: usize = 64;
/// Bits of the number that comes on top.
const FIRST_BITS: u32 = 10;
/// Most decoys of one step, as a power of two.
const STEP_POWER_MAX: u32 = 8;
/// Steps of which one output of the function tells.
const STEPS_A_BLOCK: u64 = 16;

/// What the decoys of one list are drawn from. Whoever has it can tell them.
#[derive(Clone)]
pub struct DecoySeed(hmac::Key);

impl DecoySeed {
    /// Takes 32 random bytes.
    #[must_use]
    pub fn new(bytes: &[u8; 32]) -> Self {
        Self(hmac::Key::new(hmac::HMAC_SHA256, bytes))
    }

    /// All indexes that are kept for decoys, in the order in which they are marked.
    #[must_use]
    pub fn indexes(&self) -> Vec<u32> {
        let mut taken = vec![false; LIST_SIZE as usize];
        let mut indexes = Vec::with_capacity(DECOYS_MAX);
        for block in 0_u64.. {
            let bytes = self.block("index", block);
            let (words, _) = bytes.as_chunks::<4>();
            for word in words {
                // The size is a power of two: all indexes are equally likely.
                let index = u32::from_be_bytes(*word) % LIST_SIZE;
                if let Some(place) = taken.get_mut(index as usize)
                    && !std::mem::replace(place, true)
                {
                    indexes.push(index);
                }
                if indexes.len() == DECOYS_MAX {
                    return indexes;
                }
            }
        }
        indexes
    }

    /// How many decoys are marked when the list is so many seconds old.
    #[must_use]
    pub fn marked(&self, age_seconds: u64) -> usize {
        let steps = age_seconds / STEP_SECONDS;
        let mut marked = self.first();
        let mut block = [0; 32];
        for step in 0..steps {
            if marked >= DECOYS_MAX {
                return DECOYS_MAX;
            }
            if step % STEPS_A_BLOCK == 0 {
                block = self.block("step", step / STEPS_A_BLOCK);
            }
            let (words, _) = block.as_chunks::<2>();
            let place = usize::try_from(step % STEPS_A_BLOCK).unwrap_or_default();
            marked += words.get(place).map_or(0, |word| added(u16::from_be_bytes(*word)));
        }
        marked.min(DECOYS_MAX)
    }

    fn first(&self) -> usize {
        let [high, low, ..] = self.block("first", 0);
        FIRST_MIN + usize::from(u16::from_be_bytes([high, low])) % (1 << FIRST_BITS)
    }

    fn block(&self, purpose: &str, number: u64) -> [u8; 32] {
        let mut context = hmac::Context::with_key(&self.0);
        context.update(&(purpose.len() as u64).to_be_bytes());
        context.update(purpose.as_bytes());
        context.update(&number.to_be_bytes());
        let mut out = [0; 32];
        out.copy_from_slice(context.sign().as_ref());
        out
    }
}

/// What a step adds: nothing unless the word begins with two zero bits, and twice as much for each
/// further one.
const fn added(word: u16) -> usize {
    match word.leading_zeros().checked_sub(2) {
        None => 0,
        Some(power) if power < STEP_POWER_MAX => 1 << power,
        Some(_) => 1 << STEP_POWER_MAX,
    }
}

impl fmt::Debug for DecoySeed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("DecoySeed(redacted)")
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    /// Days are 8,640 steps.
    const DAY: u64 = 86_400;

    #[test]
    fn decoys_are_distinct_indexes_that_only_the_seed_tells() {
        let seed = DecoySeed::new(&[7; 32]);
        let indexes = seed.indexes();
        let distinct: BTreeSet<u32> = indexes.iter().copied().collect();
        assert_eq!(distinct.len(), DECOYS_MAX);
        assert!(distinct.iter().all(|index| *index < LIST_SIZE));
        assert_eq!(seed.indexes(), indexes);
        // By chance 1 in 64 of another seed's are the same.
        let other = DecoySeed::new(&[8; 32]).indexes();
        assert!(other.iter().filter(|index| distinct.contains(index)).count() < DECOYS_MAX / 32);
    }

    #[test]
    fn the_decoys_of_a_seed_are_what_they_were() {
        // They are the same on every node and in every release.
        let seed = DecoySeed::new(&[7; 32]);
        assert_eq!(seed.indexes()[..4], GOLDEN_INDEXES);
        assert_eq!([0, 600, DAY].map(|age| seed.marked(age)), GOLDEN_MARKED);
    }

    const GOLDEN_INDEXES: [u32; 4] = [385_098, 560_362, 462_932, 534_680];
    const GOLDEN_MARKED: [usize; 3] = [624, 667, 12_899];

    #[test]
    fn a_day_of_decoys_fits_what_is_kept_for_them() {
        for seed in 0..64 {
            let marked = DecoySeed::new(&[seed; 32]).marked(DAY + 3_600);
            assert!((7_000..DECOYS_MAX).contains(&marked), "{marked} by seed {seed}");
        }
        assert_eq!(DecoySeed::new(&[1; 32]).marked(30 * DAY), DECOYS_MAX);
    }

    #[test]
    fn a_step_adds_small_numbers_often_and_large_ones_rarely() {
        assert_eq!(added(0xffff), 0);
        assert_eq!(added(0x7fff), 0);
        assert_eq!([0x3fff, 0x1fff, 0x0fff].map(added), [1, 2, 4]);
        assert_eq!([0x001f, 0x000f, 0].map(added), [256, 256, 256]);
        let steps: Vec<usize> = (0..=u16::MAX).map(added).collect();
        let share = |of: &dyn Fn(usize) -> bool| steps.iter().filter(|n| of(**n)).count();
        assert_eq!(share(&|n| n == 0), 3 * 16_384);
        assert_eq!(share(&|n| n == 1), 8_192);
        assert_eq!(share(&|n| n == 256), 64);
    }

    proptest! {
        #[test]
        fn a_decoy_never_goes(seed: [u8; 32], age in 0..DAY, later in 0..DAY) {
            let seed = DecoySeed::new(&seed);
            let marked = seed.marked(age);
            prop_assert!((FIRST_MIN..=DECOYS_MAX).contains(&marked));
            prop_assert!(seed.marked(age + later) >= marked);
        }
    }
}
