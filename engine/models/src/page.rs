//! A page of the models: the engine's words, and nodes that are nothing else.

#[path = "../../src/page/words.rs"]
#[expect(dead_code, reason = "the models read and write whole words")]
pub(crate) mod words;

pub(crate) mod node {
    use super::words::Words;

    /// A page to be read.
    #[derive(Clone, Copy)]
    pub(crate) struct Node<'a>(Words<'a>);

    impl<'a> Node<'a> {
        pub(crate) fn new(words: Words<'a>) -> Self {
            Self(words)
        }

        pub(crate) fn word(self, index: usize) -> u64 {
            self.0.word(index)
        }
    }
}

pub(crate) mod edit {
    use super::words::Words;

    /// A page to be changed.
    pub(crate) struct NodeMut<'a>(Words<'a>);

    impl<'a> NodeMut<'a> {
        pub(crate) fn new(words: Words<'a>) -> Self {
            Self(words)
        }

        pub(crate) fn set_word(&self, index: usize, value: u64) {
            self.0.set_word(index, value);
        }
    }
}
