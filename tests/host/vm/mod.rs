//! What needs a machine of its own, because it sets its clock or what its kernel permits: a VM.

mod clock;
mod doctor;
