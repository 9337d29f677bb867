//! Whatever decodes has to encode to something that decodes to the same.
#![allow(dead_code, reason = "each target uses what it needs")]

use prost::Message;
use serde::{Serialize, de::DeserializeOwned};

pub fn proto<M: Message + Default + PartialEq>(bytes: &[u8]) {
    if let Ok(message) = M::decode(bytes) {
        let again = M::decode(message.encode_to_vec().as_slice());
        assert!(again.is_ok_and(|again| again == message));
    }
}

pub fn json<M: Serialize + DeserializeOwned + PartialEq>(bytes: &[u8]) {
    if let Ok(message) = serde_json::from_slice::<M>(bytes) {
        let text = serde_json::to_vec(&message).expect("what was read can be written");
        let again = serde_json::from_slice::<M>(&text);
        assert!(again.is_ok_and(|again| again == message));
    }
}
