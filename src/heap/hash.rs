//! SipHash-1-3: the same in every process and build, and with the random key of a container nobody
//! outside can choose keys that collide.
//!
//! Source: Aumasson, Bernstein, "SipHash: a fast short-input PRF" (2012), with one round a word and
//! three at the end, as in Rust's standard library, which promises no particular algorithm.

/// The hash of `bytes` under a key.
#[inline]
pub(super) fn hash(key: [u64; 2], bytes: &[u8]) -> u64 {
    let mut v = [
        key[0] ^ 0x736f_6d65_7073_6575,
        key[1] ^ 0x646f_7261_6e64_6f6d,
        key[0] ^ 0x6c79_6765_6e65_7261,
        key[1] ^ 0x7465_6462_7974_6573,
    ];
    let chunks = bytes.chunks_exact(8);
    let mut last = [0; 8];
    last[..chunks.remainder().len()].copy_from_slice(chunks.remainder());
    last[7] = bytes.len() as u8;
    for chunk in chunks {
        absorb(&mut v, u64::from_le_bytes(chunk.try_into().unwrap_or_default()));
    }
    absorb(&mut v, u64::from_le_bytes(last));
    v[2] ^= 0xff;
    for _ in 0..3 {
        round(&mut v);
    }
    v[0] ^ v[1] ^ v[2] ^ v[3]
}

#[inline(always)]
fn absorb(v: &mut [u64; 4], word: u64) {
    v[3] ^= word;
    round(v);
    v[0] ^= word;
}

#[inline(always)]
fn round(v: &mut [u64; 4]) {
    v[0] = v[0].wrapping_add(v[1]);
    v[2] = v[2].wrapping_add(v[3]);
    v[1] = v[1].rotate_left(13) ^ v[0];
    v[3] = v[3].rotate_left(16) ^ v[2];
    v[0] = v[0].rotate_left(32);
    v[2] = v[2].wrapping_add(v[1]);
    v[0] = v[0].wrapping_add(v[3]);
    v[1] = v[1].rotate_left(17) ^ v[2];
    v[3] = v[3].rotate_left(21) ^ v[0];
    v[2] = v[2].rotate_left(32);
}

/// A key that nobody can guess.
pub(super) fn random_key() -> [u64; 2] {
    use std::hash::{BuildHasher, RandomState};
    [0, 1].map(|half: u64| RandomState::new().hash_one(half))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The first vector of the reference implementation, with the key 00 01 .. 0f.
    #[test]
    fn the_hash_is_the_same_everywhere() {
        let key = [0x0706_0504_0302_0100, 0x0f0e_0d0c_0b0a_0908];
        assert_eq!(hash(key, &[]), 0xabac_0158_050f_c4dc);
    }

    /// What it happens to be, with a key of zeros.
    #[test]
    fn the_hash_is_that_of_the_standard_library_today() {
        use std::hash::{DefaultHasher, Hasher};
        let bytes: Vec<u8> = (0..100).collect();
        for len in 0..=bytes.len() {
            let mut theirs = DefaultHasher::new();
            theirs.write(&bytes[..len]);
            assert_eq!(hash([0, 0], &bytes[..len]), theirs.finish(), "{len}");
        }
    }

    #[test]
    fn the_key_and_every_byte_count() {
        let all: Vec<Vec<u8>> = (0..40).map(|len| vec![0; len]).collect();
        let mut hashes: Vec<u64> = all.iter().map(|bytes| hash([1, 2], bytes)).collect();
        hashes.extend(all.iter().map(|bytes| hash([1, 3], bytes)));
        hashes.sort_unstable();
        hashes.dedup();
        assert_eq!(hashes.len(), 80);
        assert_ne!(random_key(), random_key());
    }
}
