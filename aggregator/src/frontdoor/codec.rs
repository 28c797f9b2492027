//! MQTT 5 and 3.1.1 packets as one set of words.
//!
//! The bytes are read and written by rumqttc's codecs. This file cuts the
//! stream into frames itself, because a frame that is complete and yet "needs
//! more bytes" is malformed here and must not wait for ever, and because the
//! version is only known once the first packet has been looked into.

use bytes::{Bytes, BytesMut};
use rumqttc::mqttbytes as v4;
use rumqttc::mqttbytes::v4 as v4p;
use rumqttc::v5::mqttbytes as v5;
use rumqttc::v5::mqttbytes::v5 as v5p;

/// Which protocol a client speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Version {
    /// MQTT 3.1.1.
    V311,
    /// MQTT 5.
    V5,
}

/// A packet from a client, as far as the front door cares.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Incoming {
    Connect(Connect),
    Publish(Publish),
    Subscribe {
        pkid: u16,
        filters: Vec<String>,
    },
    Unsubscribe {
        pkid: u16,
        filters: Vec<String>,
    },
    Ping,
    /// `true` when the client asks for its will to be carried out all the same.
    Disconnect {
        with_will: bool,
    },
    /// Well formed, and nothing that a client of this server has cause to send.
    Other,
}

#[derive(Debug, PartialEq, Eq)]
pub(super) struct Connect {
    pub(super) client_id: String,
    /// Seconds; 0 means none.
    pub(super) keep_alive: u16,
    pub(super) user: Option<String>,
    pub(super) password: String,
    /// Topic and payload.
    pub(super) will: Option<(String, Bytes)>,
}

#[derive(Debug, PartialEq, Eq)]
pub(super) struct Publish {
    pub(super) topic: String,
    pub(super) payload: Bytes,
    /// 0 for QoS 0.
    pub(super) pkid: u16,
    pub(super) qos: u8,
}

/// Why a connection is ended, by either version's words.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Refusal {
    Malformed,
    /// The version, before there is any.
    Version,
    Protocol,
    NotAuthorised,
    BadCredentials,
    TopicInvalid,
    TooLarge,
    TooMany,
    QosNotSupported,
    KeepAlive,
    TakenOver,
    /// Another agent with the same box id is here.
    SecondAgent,
    ShuttingDown,
}

impl Refusal {
    /// The word in the metric `frontdoor_refused_total`.
    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::Malformed => "malformed_packet",
            Self::Version => "unsupported_version",
            Self::Protocol => "protocol_error",
            Self::NotAuthorised => "not_authorised",
            Self::BadCredentials => "bad_credentials",
            Self::TopicInvalid => "topic_invalid",
            Self::TooLarge => "packet_too_large",
            Self::TooMany => "receive_maximum_exceeded",
            Self::QosNotSupported => "qos_not_supported",
            Self::KeepAlive => "keep_alive_timeout",
            Self::TakenOver => "taken_over",
            Self::SecondAgent => "second_agent",
            Self::ShuttingDown => "shutting_down",
        }
    }
}

/// What a filter of a SUBSCRIBE gets: QoS 0, or no.
pub(super) type Granted = bool;

/// A packet to a client.
#[derive(Debug)]
pub(super) enum Outgoing {
    ConnAck {
        receive_maximum: u16,
        max_packet: u32,
        keep_alive: Option<u16>,
    },
    Refuse(Refusal),
    PubAck(u16),
    SubAck(u16, Vec<Granted>),
    UnsubAck(u16, usize),
    Pong,
    Publish(String, Vec<u8>),
    Disconnect(Refusal),
}

/// Takes one complete frame off `stream`; `None` while it is not all there.
pub(super) fn frame(stream: &mut BytesMut, largest: usize) -> Result<Option<BytesMut>, Refusal> {
    let Some(length) = frame_length(stream)? else {
        return Ok(None);
    };
    if length > largest {
        return Err(Refusal::TooLarge);
    }
    if stream.len() < length {
        return Ok(None);
    }
    Ok(Some(stream.split_to(length)))
}

/// Length of the frame at the head of `bytes` (MQTT 5 § 2.1.4).
fn frame_length(bytes: &[u8]) -> Result<Option<usize>, Refusal> {
    let mut remaining = 0;
    for (index, byte) in bytes.iter().skip(1).enumerate() {
        if index == 4 {
            return Err(Refusal::Malformed);
        }
        remaining |= usize::from(byte & 0x7f) << (7 * index);
        if byte & 0x80 == 0 {
            return Ok(Some(2 + index + remaining));
        }
    }
    if bytes.len() > 4 {
        return Err(Refusal::Malformed);
    }
    Ok(None)
}

/// The version that a CONNECT asks for, without trusting anything after it.
pub(super) fn version(connect: &[u8]) -> Result<Version, Refusal> {
    if connect.first().map(|byte| byte >> 4) != Some(1) {
        return Err(Refusal::Protocol);
    }
    let header = 1
        + connect
            .iter()
            .skip(1)
            .take_while(|byte| **byte & 0x80 != 0)
            .count()
        + 1;
    match connect.get(header..header + 7) {
        Some(b"\x00\x04MQTT\x04") => Ok(Version::V311),
        Some(b"\x00\x04MQTT\x05") => Ok(Version::V5),
        Some(_) => Err(Refusal::Version),
        None => Err(Refusal::Malformed),
    }
}

/// Reads one complete frame.
pub(super) fn read(version: Version, mut frame: BytesMut) -> Result<Incoming, Refusal> {
    let largest = frame.len();
    match version {
        Version::V5 => {
            // MQTT 5 § 3.14.2: a DISCONNECT may leave out its properties, and its
            // reason as well; the codec wants both.
            if let [0xe0, 0x00] | [0xe0, 0x01, _] = frame[..] {
                let with_will = frame.get(2).is_some_and(|reason| *reason != 0);
                return Ok(Incoming::Disconnect { with_will });
            }
            let largest = u32::try_from(largest).map_err(|_| Refusal::TooLarge)?;
            v5p::Packet::read(&mut frame, Some(largest))
                .map_err(|_| Refusal::Malformed)
                .and_then(from_v5)
        }
        Version::V311 => v4p::Packet::read(&mut frame, largest)
            .map_err(|_| Refusal::Malformed)
            .map(from_v311),
    }
}

fn text(bytes: &Bytes) -> Result<String, Refusal> {
    std::str::from_utf8(bytes)
        .map(str::to_owned)
        .map_err(|_| Refusal::Malformed)
}

fn from_v5(packet: v5p::Packet) -> Result<Incoming, Refusal> {
    Ok(match packet {
        v5p::Packet::Connect(connect, will, login) => {
            let will = match will {
                Some(will) => Some((text(&will.topic)?, will.message)),
                None => None,
            };
            let (user, password) = login.map_or((String::new(), String::new()), |login| {
                (login.username, login.password)
            });
            Incoming::Connect(Connect {
                client_id: connect.client_id,
                keep_alive: connect.keep_alive,
                user: Some(user).filter(|user| !user.is_empty()),
                password,
                will,
            })
        }
        v5p::Packet::Publish(publish) => {
            // We announced no aliases (Topic Alias Maximum is absent), so one is an error.
            if publish
                .properties
                .as_ref()
                .is_some_and(|properties| properties.topic_alias.is_some())
            {
                return Err(Refusal::Protocol);
            }
            Incoming::Publish(Publish {
                topic: text(&publish.topic)?,
                payload: publish.payload,
                pkid: publish.pkid,
                qos: publish.qos as u8,
            })
        }
        v5p::Packet::Subscribe(subscribe) => Incoming::Subscribe {
            pkid: subscribe.pkid,
            filters: subscribe
                .filters
                .into_iter()
                .map(|filter| filter.path)
                .collect(),
        },
        v5p::Packet::Unsubscribe(unsubscribe) => Incoming::Unsubscribe {
            pkid: unsubscribe.pkid,
            filters: unsubscribe.filters,
        },
        v5p::Packet::PingReq(_) => Incoming::Ping,
        v5p::Packet::Disconnect(disconnect) => Incoming::Disconnect {
            with_will: disconnect.reason_code != v5p::DisconnectReasonCode::NormalDisconnection,
        },
        _ => Incoming::Other,
    })
}

fn from_v311(packet: v4p::Packet) -> Incoming {
    match packet {
        v4p::Packet::Connect(connect) => {
            let (user, password) = connect
                .login
                .map_or((String::new(), String::new()), |login| {
                    (login.username, login.password)
                });
            Incoming::Connect(Connect {
                client_id: connect.client_id,
                keep_alive: connect.keep_alive,
                user: Some(user).filter(|user| !user.is_empty()),
                password,
                will: connect.last_will.map(|will| (will.topic, will.message)),
            })
        }
        v4p::Packet::Publish(publish) => Incoming::Publish(Publish {
            topic: publish.topic,
            payload: publish.payload,
            pkid: publish.pkid,
            qos: publish.qos as u8,
        }),
        v4p::Packet::Subscribe(subscribe) => Incoming::Subscribe {
            pkid: subscribe.pkid,
            filters: subscribe
                .filters
                .into_iter()
                .map(|filter| filter.path)
                .collect(),
        },
        v4p::Packet::Unsubscribe(unsubscribe) => Incoming::Unsubscribe {
            pkid: unsubscribe.pkid,
            filters: unsubscribe.topics,
        },
        v4p::Packet::PingReq => Incoming::Ping,
        v4p::Packet::Disconnect => Incoming::Disconnect { with_will: false },
        _ => Incoming::Other,
    }
}

/// Appends `packet` to `out`. MQTT 3.1.1 has no words for some refusals: the
/// connection is then just closed, as that version asks.
pub(super) fn write(version: Version, packet: Outgoing, out: &mut BytesMut) {
    let written = match version {
        Version::V5 => to_v5(packet).write(out, None).map_err(|e| e.to_string()),
        Version::V311 => match to_v311(packet) {
            Some(packet) => packet.write(out, usize::MAX).map_err(|e| e.to_string()),
            None => return,
        },
    };
    if let Err(error) = written {
        // Our own packets are far below every limit.
        tracing::error!(error, "a packet could not be written");
    }
}

fn to_v5(packet: Outgoing) -> v5p::Packet {
    match packet {
        Outgoing::ConnAck {
            receive_maximum,
            max_packet,
            keep_alive,
        } => v5p::Packet::ConnAck(v5p::ConnAck {
            session_present: false,
            code: v5p::ConnectReturnCode::Success,
            properties: Some(v5p::ConnAckProperties {
                session_expiry_interval: Some(0),
                receive_max: Some(receive_maximum),
                max_qos: Some(1),
                retain_available: None,
                max_packet_size: Some(max_packet),
                assigned_client_identifier: None,
                topic_alias_max: None,
                reason_string: None,
                user_properties: Vec::new(),
                wildcard_subscription_available: None,
                subscription_identifiers_available: Some(0),
                shared_subscription_available: Some(0),
                server_keep_alive: keep_alive,
                response_information: None,
                server_reference: None,
                authentication_method: None,
                authentication_data: None,
            }),
        }),
        Outgoing::Refuse(refusal) => v5p::Packet::ConnAck(v5p::ConnAck {
            session_present: false,
            code: match refusal {
                Refusal::Malformed => v5p::ConnectReturnCode::MalformedPacket,
                Refusal::Version => v5p::ConnectReturnCode::UnsupportedProtocolVersion,
                Refusal::NotAuthorised => v5p::ConnectReturnCode::NotAuthorized,
                Refusal::BadCredentials => v5p::ConnectReturnCode::BadUserNamePassword,
                Refusal::TopicInvalid => v5p::ConnectReturnCode::TopicNameInvalid,
                Refusal::TooLarge => v5p::ConnectReturnCode::PacketTooLarge,
                Refusal::SecondAgent => v5p::ConnectReturnCode::ClientIdentifierNotValid,
                Refusal::ShuttingDown => v5p::ConnectReturnCode::ServerUnavailable,
                _ => v5p::ConnectReturnCode::ProtocolError,
            },
            properties: None,
        }),
        Outgoing::PubAck(pkid) => v5p::Packet::PubAck(v5p::PubAck::new(pkid, None)),
        Outgoing::SubAck(pkid, granted) => v5p::Packet::SubAck(v5p::SubAck {
            pkid,
            return_codes: granted
                .into_iter()
                .map(|granted| {
                    if granted {
                        v5p::SubscribeReasonCode::Success(v5::QoS::AtMostOnce)
                    } else {
                        v5p::SubscribeReasonCode::NotAuthorized
                    }
                })
                .collect(),
            properties: None,
        }),
        Outgoing::UnsubAck(pkid, count) => v5p::Packet::UnsubAck(v5p::UnsubAck {
            pkid,
            reasons: vec![v5p::UnsubAckReason::Success; count],
            properties: None,
        }),
        Outgoing::Pong => v5p::Packet::PingResp(v5p::PingResp),
        Outgoing::Publish(topic, payload) => {
            v5p::Packet::Publish(v5p::Publish::new(topic, v5::QoS::AtMostOnce, payload, None))
        }
        Outgoing::Disconnect(refusal) => {
            use v5p::DisconnectReasonCode as Code;
            // With a property, because rumqttc's reader wants the properties that
            // MQTT 5 § 3.14.2.2 allows to leave out, and would not see the reason.
            let properties = Some(v5p::DisconnectProperties {
                session_expiry_interval: None,
                reason_string: Some(refusal.as_str().to_owned()),
                user_properties: Vec::new(),
                server_reference: None,
            });
            let reason_code = match refusal {
                Refusal::Malformed => Code::MalformedPacket,
                Refusal::Version | Refusal::Protocol => Code::ProtocolError,
                Refusal::NotAuthorised | Refusal::BadCredentials | Refusal::SecondAgent => {
                    Code::NotAuthorized
                }
                Refusal::TopicInvalid => Code::TopicNameInvalid,
                Refusal::TooLarge => Code::PacketTooLarge,
                Refusal::TooMany => Code::ReceiveMaximumExceeded,
                Refusal::QosNotSupported => Code::QoSNotSupported,
                Refusal::KeepAlive => Code::KeepAliveTimeout,
                Refusal::TakenOver => Code::SessionTakenOver,
                Refusal::ShuttingDown => Code::ServerShuttingDown,
            };
            v5p::Packet::Disconnect(v5p::Disconnect {
                reason_code,
                properties,
            })
        }
    }
}

fn to_v311(packet: Outgoing) -> Option<v4p::Packet> {
    Some(match packet {
        Outgoing::ConnAck { .. } => {
            v4p::Packet::ConnAck(v4p::ConnAck::new(v4p::ConnectReturnCode::Success, false))
        }
        Outgoing::Refuse(refusal) => v4p::Packet::ConnAck(v4p::ConnAck::new(
            match refusal {
                Refusal::Version => v4p::ConnectReturnCode::RefusedProtocolVersion,
                Refusal::BadCredentials => v4p::ConnectReturnCode::BadUserNamePassword,
                Refusal::SecondAgent => v4p::ConnectReturnCode::BadClientId,
                Refusal::NotAuthorised | Refusal::TopicInvalid => {
                    v4p::ConnectReturnCode::NotAuthorized
                }
                Refusal::ShuttingDown => v4p::ConnectReturnCode::ServiceUnavailable,
                _ => return None,
            },
            false,
        )),
        Outgoing::PubAck(pkid) => v4p::Packet::PubAck(v4p::PubAck::new(pkid)),
        Outgoing::SubAck(pkid, granted) => v4p::Packet::SubAck(v4p::SubAck::new(
            pkid,
            granted
                .into_iter()
                .map(|granted| {
                    if granted {
                        v4p::SubscribeReasonCode::Success(v4::QoS::AtMostOnce)
                    } else {
                        v4p::SubscribeReasonCode::Failure
                    }
                })
                .collect(),
        )),
        Outgoing::UnsubAck(pkid, _) => v4p::Packet::UnsubAck(v4p::UnsubAck::new(pkid)),
        Outgoing::Pong => v4p::Packet::PingResp,
        Outgoing::Publish(topic, payload) => {
            v4p::Packet::Publish(v4p::Publish::new(topic, v4::QoS::AtMostOnce, payload))
        }
        Outgoing::Disconnect(_) => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Everything that a connection does with bytes before it acts on them.
    fn swallow(version: Option<Version>, bytes: &[u8]) -> usize {
        let mut stream = BytesMut::from(bytes);
        let mut packets = 0;
        while let Ok(Some(whole)) = frame(&mut stream, 64 * 1024) {
            let spoken = version.map_or_else(|| super::version(&whole), Ok);
            if spoken.and_then(|version| read(version, whole)).is_err() {
                break;
            }
            packets += 1;
        }
        packets
    }

    /// A CONNECT with everything in it, in both versions.
    fn connect(version: u8) -> Vec<u8> {
        let mut bytes = b"\x10\x00\x00\x04MQTT".to_vec();
        bytes.extend([version, 0b1110_1110, 0, 30]);
        if version == 5 {
            bytes.extend([5, 17, 0, 0, 0, 0]);
        }
        bytes.extend(b"\x00\x02id");
        if version == 5 {
            bytes.push(0);
        }
        bytes.extend(b"\x00\x03w/t\x00\x02{}\x00\x01u\x00\x01p");
        bytes[1] = u8::try_from(bytes.len() - 2).unwrap();
        bytes
    }

    #[test]
    fn a_connect_of_either_version_reads_the_same() {
        for (level, version) in [(4, Version::V311), (5, Version::V5)] {
            let bytes = connect(level);
            assert_eq!(super::version(&bytes), Ok(version));
            let read = read(version, BytesMut::from(&bytes[..])).unwrap();
            assert_eq!(
                read,
                Incoming::Connect(Connect {
                    client_id: "id".to_owned(),
                    keep_alive: 30,
                    user: Some("u".to_owned()),
                    password: "p".to_owned(),
                    will: Some(("w/t".to_owned(), Bytes::from_static(b"{}"))),
                })
            );
        }
    }

    #[test]
    fn strangers_are_told_apart() {
        for (bytes, expected) in [
            (&b"GET / HTTP/1.1\r\n\r\n"[..], Refusal::Protocol),
            (
                b"\x10\x0d\x00\x06MQIsdp\x03\x02\x00\x1e\x00",
                Refusal::Version,
            ),
            (b"\x10\x07\x00\x04MQTT\x06", Refusal::Version),
            (b"\x10\x02\x00\x04", Refusal::Malformed),
            (b"\x30\x02\x00\x00", Refusal::Protocol),
        ] {
            assert_eq!(super::version(bytes), Err(expected), "{bytes:?}");
        }
    }

    #[test]
    fn a_frame_waits_for_its_bytes_and_never_for_more_than_the_limit() {
        let mut half = BytesMut::from(&b"\x30\x05\x00"[..]);
        assert_eq!(frame(&mut half, 100), Ok(None));
        assert_eq!(half.len(), 3, "nothing may be lost meanwhile");
        let mut endless = BytesMut::from(&b"\x30\xff\xff\xff\xff"[..]);
        assert_eq!(frame(&mut endless, 100), Err(Refusal::Malformed));
        let mut large = BytesMut::from(&b"\x30\xff\xff\x7f"[..]);
        assert_eq!(frame(&mut large, 100), Err(Refusal::TooLarge));
    }

    #[test]
    fn every_form_of_disconnect_of_mqtt_5_is_understood() {
        for (bytes, with_will) in [
            (&[0xe0, 0x00][..], false),
            (&[0xe0, 0x01, 0x00], false),
            (&[0xe0, 0x01, 0x04], true),
            (&[0xe0, 0x02, 0x00, 0x00], false),
            (&[0xe0, 0x02, 0x04, 0x00], true),
        ] {
            let packet = read(Version::V5, BytesMut::from(bytes));
            assert_eq!(packet, Ok(Incoming::Disconnect { with_will }), "{bytes:?}");
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2000))]

        #[test]
        fn arbitrary_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..512)) {
            for version in [None, Some(Version::V311), Some(Version::V5)] {
                swallow(version, &bytes);
            }
        }

        /// Nearly right packets reach further into the codec than noise does.
        #[test]
        fn packets_of_every_type_with_any_body_never_panic(
            kind: u8,
            body in proptest::collection::vec(prop_oneof![3 => 0u8..4, 1 => any::<u8>()], 0..120),
        ) {
            let mut bytes = vec![kind, u8::try_from(body.len()).unwrap_or(0)];
            bytes.extend(&body);
            for version in [Version::V311, Version::V5] {
                swallow(Some(version), &bytes);
            }
        }

        #[test]
        fn a_connect_with_wrong_bytes_in_it_never_panics(
            level in 4u8..=5, at in 0usize..60, wrong: u8, cut in 0usize..60,
        ) {
            let mut bytes = connect(level);
            let at = at % bytes.len();
            bytes[at] = wrong;
            bytes.truncate(cut.max(2));
            swallow(None, &bytes);
        }
    }
}
