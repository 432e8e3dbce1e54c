//! Atomics with a point before each access.

use std::sync::atomic::{self, Ordering};

use super::point;

macro_rules! atomic {
    ($name:ident, $of:ty) => {
        /// Has the shape of the standard library's.
        #[derive(Debug, Default)]
        pub(crate) struct $name(atomic::$name);

        #[expect(
            clippy::allow_attributes,
            reason = "which of them are used changes with the engine"
        )]
        #[allow(
            dead_code,
            reason = "the shape of the standard library's, as far as the engine may need it"
        )]
        impl $name {
            pub(crate) const fn new(value: $of) -> Self {
                Self(atomic::$name::new(value))
            }

            #[track_caller]
            pub(crate) fn load(&self, order: Ordering) -> $of {
                point();
                self.0.load(order)
            }

            #[track_caller]
            pub(crate) fn store(&self, value: $of, order: Ordering) {
                point();
                self.0.store(value, order);
            }

            #[track_caller]
            pub(crate) fn swap(&self, value: $of, order: Ordering) -> $of {
                point();
                self.0.swap(value, order)
            }

            #[track_caller]
            pub(crate) fn compare_exchange(
                &self,
                current: $of,
                new: $of,
                success: Ordering,
                failure: Ordering,
            ) -> Result<$of, $of> {
                point();
                self.0.compare_exchange(current, new, success, failure)
            }

            #[track_caller]
            pub(crate) fn fetch_update(
                &self,
                set: Ordering,
                fetch: Ordering,
                f: impl FnMut($of) -> Option<$of>,
            ) -> Result<$of, $of> {
                point();
                self.0.fetch_update(set, fetch, f)
            }

            pub(crate) fn get_mut(&mut self) -> &mut $of {
                self.0.get_mut()
            }

            pub(crate) fn into_inner(self) -> $of {
                self.0.into_inner()
            }
        }
    };
}

macro_rules! counting {
    ($name:ident, $of:ty, $($operation:ident)*) => {
        #[expect(clippy::allow_attributes, reason = "which of them are used changes with the engine")]
        #[allow(dead_code, reason = "the shape of the standard library's, as far as the engine may need it")]
        impl $name {
            $(#[track_caller]
            pub(crate) fn $operation(&self, value: $of, order: Ordering) -> $of {
                point();
                self.0.$operation(value, order)
            })*
        }
    };
}

atomic!(AtomicBool, bool);
atomic!(AtomicU32, u32);
atomic!(AtomicU64, u64);
atomic!(AtomicUsize, usize);
counting!(AtomicBool, bool, fetch_and fetch_or);
counting!(AtomicU32, u32, fetch_add fetch_sub fetch_max fetch_min fetch_and fetch_or);
counting!(AtomicU64, u64, fetch_add fetch_sub fetch_max fetch_min fetch_and fetch_or);
counting!(AtomicUsize, usize, fetch_add fetch_sub fetch_max fetch_min fetch_and fetch_or);

/// Every access is sequentially consistent here.
pub(crate) fn fence(_order: Ordering) {}

/// Atomics that are all zero.
pub(crate) fn zeroed_slice(len: usize) -> Box<[AtomicU32]> {
    (0..len).map(|_| AtomicU32::new(0)).collect()
}
