//! Sealed objects from outside: what is written reads back, and nothing else does.

#[cfg(test)]
mod book;
#[cfg(test)]
mod golden;
#[cfg(test)]
mod secrets;
#[cfg(test)]
mod streams;
#[cfg(test)]
mod support;
#[cfg(test)]
mod tamper;
