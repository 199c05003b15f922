//! How often each word was met, and how one process tells another.
//!
//! A word is stored once and has a number from then on. A worker tells a word's letters the first
//! time only and speaks of its number later ([`News`]), so that adding a worker's news to the
//! totals is little more than one addition per word and group of files.

use serde::{Deserialize, Serialize};

use super::vocabulary::Vocabulary;
use super::words::{PADDING, Word, Words};

/// Words and how often each was met.
#[derive(Default)]
pub struct Counts {
    words: Vocabulary,
    /// By the word's number.
    times: Vec<u64>,
    /// The numbers of the words that were met, each once.
    met: Vec<u32>,
    /// So many words have been told.
    told: usize,
}

/// What was counted since the last news.
#[derive(Serialize, Deserialize)]
pub struct News {
    /// The words met for the first time, in the order of their numbers, a zero after each.
    new_words: Vec<u8>,
    /// A word's number, and how often it was met.
    times: Vec<(u32, u64)>,
}

impl Counts {
    /// Counts `word` once.
    #[inline]
    pub fn count(&mut self, word: Word<'_>) {
        let number = self.words.number(word);
        self.add(number, 1);
    }

    #[inline]
    fn add(&mut self, number: u32, times: u64) {
        let index = number as usize;
        if index >= self.times.len() {
            self.times.resize(index + 1, 0);
        }
        if self.times[index] == 0 {
            self.met.push(number);
        }
        self.times[index] += times;
    }

    /// Takes out all that was counted since the last call. The words keep their numbers.
    pub fn take_news(&mut self) -> News {
        let mut new_words = Vec::new();
        for number in self.told..self.words.len() {
            new_words.extend_from_slice(self.words.word(number as u32));
            new_words.push(0);
        }
        self.told = self.words.len();
        let times = &mut self.times;
        let take = |number: u32| (number, std::mem::take(&mut times[number as usize]));
        News { new_words, times: self.met.drain(..).map(take).collect() }
    }

    /// Adds what a worker tells. `numbers` translates that worker's numbers into ours; it starts
    /// empty and is kept as long as the worker lives.
    pub fn add_news(&mut self, mut news: News, numbers: &mut Vec<u32>) {
        let end = news.new_words.len();
        news.new_words.resize(end + PADDING, 0);
        let new_words = Words::new(&news.new_words, end);
        numbers.extend(new_words.map(|word| self.words.number(word)));
        for (number, times) in news.times {
            self.add(numbers[number as usize], times);
        }
    }

    /// How many words there are, each counted as often as it was met.
    pub fn total(&self) -> u64 {
        self.times.iter().sum()
    }

    /// How many different words there are.
    pub fn distinct(&self) -> usize {
        self.met.len()
    }

    /// Every word that was met, in no particular order.
    pub fn iter(&self) -> impl Iterator<Item = (&[u8], u64)> {
        self.met.iter().map(|&number| (self.words.word(number), self.times[number as usize]))
    }

    /// The `most` most frequent words; words of equal frequency in the order of their bytes.
    pub fn top(&self, most: usize) -> Vec<(&[u8], u64)> {
        let mut all: Vec<_> = self.iter().collect();
        all.sort_unstable_by(|one, two| two.1.cmp(&one.1).then_with(|| one.0.cmp(two.0)));
        all.truncate(most);
        all
    }
}

#[cfg(test)]
mod tests {
    use super::super::words::normalise;
    use super::*;

    fn count(counts: &mut Counts, text: &str) {
        let mut padded = text.as_bytes().to_vec();
        normalise(&mut padded);
        padded.resize(text.len() + PADDING, 0);
        Words::new(&padded, text.len()).for_each(|word| counts.count(word));
    }

    #[test]
    fn the_most_frequent_words_come_first_and_equals_by_name() {
        let mut counts = Counts::default();
        count(&mut counts, "b a c c B a d C");
        assert_eq!(counts.top(3), [(&b"c"[..], 3), (b"a", 2), (b"b", 2)]);
        assert_eq!((counts.total(), counts.distinct()), (8, 4));
    }

    #[test]
    fn news_of_two_workers_add_up_to_what_one_process_counts() {
        let texts = ["one two two", "two three extraordinarily", "one one", "four two"];
        let (mut plain, mut sum) = (Counts::default(), Counts::default());
        let mut workers = [(); 2].map(|()| (Counts::default(), Vec::new()));
        for (turn, text) in texts.iter().enumerate() {
            count(&mut plain, text);
            let (worker, numbers) = &mut workers[turn % 2];
            count(worker, text);
            sum.add_news(worker.take_news(), numbers);
            assert_eq!(worker.total(), 0);
        }
        assert_eq!(sum.top(9), plain.top(9));
    }

    #[test]
    fn news_tell_each_word_once() {
        let mut counts = Counts::default();
        count(&mut counts, "same same");
        assert_eq!(counts.take_news().new_words, b"same\0");
        count(&mut counts, "same");
        let news = counts.take_news();
        assert!(news.new_words.is_empty());
        assert_eq!(news.times, [(0, 1)]);
    }
}
