//! Who owns a word: the participant id that every claim in a region carries.

/// A participant of one region at one time: 30 bits, `number` (13) above `generation` (17).
///
/// `number` is the participant slot plus one, `1..=4096`; `generation` grows by one whenever the
/// slot gets a new occupant and is never 0. So an id is never 0, which means "nobody", and bits 30
/// and 31 of a 32-bit word are free for flags.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ParticipantId(u32);

/// Bits of an id inside a 32-bit word.
pub(crate) const ID_MASK: u32 = (1 << 30) - 1;
/// Bits of the generation inside an id.
pub(crate) const GENERATION_BITS: u32 = 17;
/// Bits of the number inside a 64-bit word that has no room for the whole id.
pub(crate) const NUMBER_BITS: u32 = 13;
/// The number that stands for a dead participant whose slot has a new occupant.
pub(crate) const NUMBER_DEAD: u32 = (1 << NUMBER_BITS) - 1;

impl ParticipantId {
    /// What a sweep leaves in place of the id of a dead participant: nobody alive has it.
    pub const DEAD: ParticipantId = ParticipantId(NUMBER_DEAD << GENERATION_BITS);

    /// The id of the occupant of `slot` in `generation`.
    pub(crate) fn new(slot: u32, generation: u32) -> ParticipantId {
        debug_assert!(slot < 4096 && generation != 0 && generation >> GENERATION_BITS == 0);
        ParticipantId((slot + 1) << GENERATION_BITS | generation)
    }

    /// Reads an id out of the low 30 bits of a word; `None` for nobody.
    pub(crate) fn from_word(word: u32) -> Option<ParticipantId> {
        match word & ID_MASK {
            0 => None,
            id => Some(ParticipantId(id)),
        }
    }

    /// The id as the low 30 bits of a word; never 0.
    pub(crate) fn word(self) -> u32 {
        self.0
    }

    /// Slot plus one, or [`NUMBER_DEAD`].
    pub(crate) fn number(self) -> u32 {
        self.0 >> GENERATION_BITS
    }

    /// Which occupant of the slot; 0 only for [`ParticipantId::DEAD`].
    pub(crate) fn generation(self) -> u32 {
        self.0 & ((1 << GENERATION_BITS) - 1)
    }
}

/// Tells the living from the dead; what the algorithms know of a region's participants.
pub trait Liveness {
    /// The id under which this process claims words.
    fn me(&self) -> ParticipantId;

    /// Whether `id` has died. `true` for [`ParticipantId::DEAD`]; `false` for [`Liveness::me`],
    /// without asking the kernel; otherwise about a microsecond, so for slow paths only. `true` is
    /// final, `false` may go stale.
    fn is_dead(&self, id: ParticipantId) -> bool;
}

/// [`Liveness`] for words that have no room for more than the number of a participant.
pub trait Numbers: Liveness {
    /// Whether the participant that has this number now, or had it last, has died; `true` for the
    /// number of [`ParticipantId::DEAD`]. Slow as [`Liveness::is_dead`].
    ///
    /// Asked after a word was read, `true` holds for whoever the word names: a number changes hands
    /// only after all words that name its holder were swept.
    fn is_number_dead(&self, number: u32) -> bool;
}
