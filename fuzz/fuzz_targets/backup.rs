#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| koios_fuzz::backup(data));
