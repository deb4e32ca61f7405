//! What answers cost.

use super::*;

/// The largest amount of memory an answer makes us hold, over what it is long itself.
fn memory_for(body: &[u8]) -> u64 {
    let (mut client, mut server) = opened(false);
    let request = ask(&mut client, &mut server);
    let answer = server.answer(&request, body);
    let info = allocation_counter::measure(|| {
        client.receive(&answer);
        let _ = client.poll();
    });
    info.bytes_max
}

/// Each of these few bytes claims up to 2 GiB to come; `async-opcua-types` allocates it on the first one's word.
#[test]
fn an_answer_that_claims_much_gets_no_memory_for_it() {
    let claim = i32::MAX.to_le_bytes();
    let header = response(GET_ENDPOINTS_RESPONSE, 0);
    let without_tail = |tail: usize| header[..header.len() - tail].to_vec();
    let bodies = [
        // An extension object in the response header: 42 bytes with the frame's own headers.
        [without_tail(3), vec![1, 0, 1, 0, 1], claim.to_vec()].concat(),
        [without_tail(3), vec![1, 0, 1, 0, 2], claim.to_vec()].concat(),
        // The string table, and a string in it.
        [without_tail(7), claim.to_vec()].concat(),
        [without_tail(7), vec![1, 0, 0, 0], claim.to_vec()].concat(),
        // The list of endpoints, and the first endpoint's URL.
        [header.clone(), claim.to_vec()].concat(),
        [header.clone(), vec![0xe8, 3, 0, 0]].concat(),
        [header.clone(), vec![1, 0, 0, 0], claim.to_vec()].concat(),
        // A node id of a string where the type is expected.
        [vec![3, 0, 0], claim.to_vec()].concat(),
        [vec![5, 0, 0], claim.to_vec()].concat(),
    ];
    for body in bodies {
        let held = memory_for(&body);
        assert!(held < 16 * 1024, "{held} bytes for {body:02x?}");
    }
}

/// Endpoints as small as they can be encoded: what they unfold to stays in proportion.
#[test]
fn an_answer_unfolds_to_a_few_times_its_size() {
    let mut body = response(GET_ENDPOINTS_RESPONSE, 0);
    put_u32(&mut body, 1000);
    for _ in 0..1000 {
        for _ in 0..3 {
            put_u32(&mut body, u32::MAX);
        }
        body.push(0);
        for _ in 0..7 {
            put_u32(&mut body, u32::MAX);
        }
        put_u32(&mut body, 1);
        for _ in 0..5 {
            put_u32(&mut body, u32::MAX);
        }
        put_u32(&mut body, u32::MAX);
        body.push(0);
    }
    let held = memory_for(&body[..60_000]);
    assert!(held > 60_000, "{held} bytes: is anything counted at all?");
    assert!(held < 20 * 60_000, "{held} bytes");
}
