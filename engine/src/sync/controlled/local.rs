//! Thread-locals that belong to a thread of the execution inside of one, and to the thread of the operating system outside.

use std::cell::{Cell, RefCell};

use super::is_inside;

/// Has the shape of the standard library's.
pub(crate) struct LocalKey<T: 'static> {
    pub(crate) outside: &'static std::thread::LocalKey<T>,
    pub(crate) inside: &'static shuttle::thread::LocalKey<T>,
}

impl<T: 'static> LocalKey<T> {
    pub(crate) fn with<R>(&'static self, f: impl FnOnce(&T) -> R) -> R {
        if is_inside() {
            self.inside.with(f)
        } else {
            self.outside.with(f)
        }
    }
}

impl<T: 'static> LocalKey<Cell<T>> {
    pub(crate) fn set(&'static self, value: T) {
        self.with(|cell| cell.set(value));
    }

    pub(crate) fn get(&'static self) -> T
    where
        T: Copy,
    {
        self.with(Cell::get)
    }

    pub(crate) fn take(&'static self) -> T
    where
        T: Default,
    {
        self.with(Cell::take)
    }
}

impl<T: 'static> LocalKey<RefCell<T>> {
    pub(crate) fn with_borrow_mut<R>(&'static self, f: impl FnOnce(&mut T) -> R) -> R {
        self.with(|cell| f(&mut cell.borrow_mut()))
    }
}

macro_rules! of_thread {
    ($(#[$attribute:meta])* static $name:ident: $type:ty = $init:expr;) => {
        static $name: $crate::sync::controlled::LocalKey<$type> = {
            std::thread_local! {
                static OUTSIDE: $type = $init;
            }
            shuttle::thread_local! {
                static INSIDE: $type = $init;
            }
            $crate::sync::controlled::LocalKey {
                outside: &OUTSIDE,
                inside: &INSIDE,
            }
        };
    };
}
pub(crate) use of_thread as thread_local;
