// The members of every struct that a journal record holds, in order. Each list binds all members:
// a new one does not compile until it is here.
#pragma once

#include <algorithm>

#include "ike/journal/archive.hpp"
#include "ike/journal/journal.hpp"

namespace espalier {

template <class Ar>
void fields(Ar& ar, SocketAddress& it) {
  auto& [ip, port] = it;
  ar(ip, port);
}
template <class Ar>
void fields(Ar& ar, Prefix& it) {
  auto& [ip, length] = it;
  ar(ip, length);
}

namespace crypto {
template <class Ar>
void fields(Ar& ar, CipherSuite& it) {
  auto& [encr, key_bits, integ] = it;
  ar(encr, key_bits, integ);
}
template <class Ar>
void fields(Ar& ar, DhKeyPair& it) {
  auto& [group, private_key, public_key] = it;
  ar(group, private_key, public_key);
}
template <class Ar>
void fields(Ar& ar, CertificateId& it) {
  auto& [issuer_key, serial] = it;
  ar(issuer_key, serial);
}
template <class Ar>
void fields(Ar& ar, PathValidity& it) {
  auto& [subject, from, until] = it;
  ar(subject, from, until);
}
}  // namespace crypto

namespace wire::ike {
template <class Ar>
void fields(Ar& ar, TrafficSelector& it) {
  auto& [protocol, start_port, end_port, start, end] = it;
  ar(protocol, start_port, end_port, start, end);
}
template <class Ar>
void fields(Ar& ar, Header& it) {
  auto& [spi_i, spi_r, next_payload, version, exchange, flags, message_id, length] = it;
  ar(spi_i, spi_r, next_payload, version, exchange, flags, message_id, length);
}
// What came out of an Encrypted payload: there is none inside.
template <class Ar>
void fields(Ar& ar, Message& it) {
  auto& [header, payloads] = it;
  ar(header);
  PayloadType first = PayloadType::kNone;
  if constexpr (Ar::kLoads) {
    ar(first);
    auto parsed = parse_payloads(first, ar.octets());
    const bool sealed =
        parsed && std::any_of(parsed->begin(), parsed->end(), [](const auto& one) {
          return std::holds_alternative<SkPayload>(one) || std::holds_alternative<SkfPayload>(one);
        });
    if (!parsed || sealed) ar.fail();
    payloads = parsed ? std::move(*parsed) : std::vector<Payload>();
  } else {
    const Bytes chain = encode_payloads(payloads, first);
    ar(first);
    ar.octets(chain);
  }
}
}  // namespace wire::ike

namespace policy {
template <class Ar>
void fields(Ar& ar, EncrTransform& it) {
  auto& [id, key_bits] = it;
  ar(id, key_bits);
}
template <class Ar>
void fields(Ar& ar, AdditionalKe& it) {
  auto& [slot, method] = it;
  ar(slot, method);
}
template <class Ar>
void fields(Ar& ar, IkeProposal& it) {
  auto& [encr, integ, prf, dh, additional] = it;
  ar(encr, integ, prf, dh, additional);
}
template <class Ar>
void fields(Ar& ar, EspProposal& it) {
  auto& [encr, integ, dh, esn, no_esn, additional] = it;
  ar(encr, integ, dh, esn, no_esn, additional);
}
template <class Ar>
void fields(Ar& ar, IkeSuite& it) {
  auto& [cipher, prf, dh, additional] = it;
  ar(cipher, prf, dh, additional);
}
template <class Ar>
void fields(Ar& ar, ChildSuite& it) {
  auto& [cipher, dh, esn, additional] = it;
  ar(cipher, dh, esn, additional);
}
template <class Ar>
void fields(Ar& ar, Identity& it) {
  auto& [type, data] = it;
  ar(type, data);
}
template <class Ar>
void fields(Ar& ar, OwnCertificate& it) {
  auto& [private_key, chain, authorities] = it;
  ar(private_key, chain, authorities);
}
template <class Ar>
void fields(Ar& ar, Ppk& it) {
  auto& [id, secret, required] = it;
  ar(id, secret, required);
}
template <class Ar>
void fields(Ar& ar, Lifetimes& it) {
  auto& [ike, child, reauth, child_bytes, child_packets, jitter_percent] = it;
  ar(ike, child, reauth, child_bytes, child_packets, jitter_percent);
}
template <class Ar>
void fields(Ar& ar, Redirect& it) {
  auto& [accept, to, after_auth] = it;
  ar(accept, to, after_auth);
}
template <class Ar>
void fields(Ar& ar, Mark& it) {
  auto& [value, mask] = it;
  ar(value, mask);
}
template <class Ar>
void fields(Ar& ar, OuterHeader& it) {
  auto& [copy_df, copy_ecn, copy_dscp, set_mark] = it;
  ar(copy_df, copy_ecn, copy_dscp, set_mark);
}
template <class Ar>
void fields(Ar& ar, Binding& it) {
  auto& [if_id_in, if_id_out, mark_in, mark_out] = it;
  ar(if_id_in, if_id_out, mark_in, mark_out);
}
template <class Ar>
void fields(Ar& ar, ChildConfig& it) {
  auto& [name, mode, local_ts, remote_ts, proposals, replay_window, outer, binding] = it;
  ar(name, mode, local_ts, remote_ts, proposals, replay_window, outer, binding);
}
template <class Ar>
void fields(Ar& ar, Service& it) {
  auto& [protocol, first_port, last_port, side, net] = it;
  ar(protocol, first_port, last_port, side, net);
}
template <class Ar>
void fields(Ar& ar, Bounds& it) {
  auto& [local, remote] = it;
  ar(local, remote);
}
template <class Ar>
void fields(Ar& ar, TunnelDevice& it) {
  auto& [name, underlying, mtu, vti] = it;
  ar(name, underlying, mtu, vti);
}
// Only for connection_mark(): a connection is not loaded.
template <class Ar>
void fields(Ar& ar, Connection& it) {
  auto& [name, peer, local_addresses, remote_addresses, remote_port, local_id, remote_id, auth, psk,
         ppk, certificates, anchors, authorities, revocation, proposals, lifetimes, dpd,
         fragmentation, mobike, encap, start, protect, foreign, behind_nat, childless, null_auth,
         resumption, redirect, children, except, bounds, device, lines] = it;
  ar(name, peer, local_addresses, remote_addresses, remote_port, local_id, remote_id, auth, psk,
     ppk, certificates, anchors, authorities, revocation, proposals, lifetimes, dpd, fragmentation,
     mobike, encap, start, protect, foreign, behind_nat, childless, null_auth, resumption, redirect,
     children, except, bounds, device);
  static_cast<void>(lines);  // a line more at the top of a file changes no connection
}
}  // namespace policy

namespace ike {
template <class Ar>
void fields(Ar& ar, Path& it) {
  auto& [local, remote] = it;
  ar(local, remote);
}
template <class Ar>
void fields(Ar& ar, PeerCertificates& it) {
  auto& [path, validity] = it;
  ar(path, validity);
}
template <class Ar>
void fields(Ar& ar, NatOriginal& it) {
  auto& [local, remote] = it;
  ar(local, remote);
}
template <class Ar>
void fields(Ar& ar, ChildSaSpec& it) {
  auto& [pair, child, reqid, spi_in, spi_out, suite, mode, path, udp_encap, local_ts, remote_ts,
         nat_original, encr_in, integ_in, encr_out, integ_out, replay_window, outer, binding,
         tell_first, soft_bytes, hard_bytes, soft_packets, hard_packets] = it;
  ar(pair, child, reqid, spi_in, spi_out, suite, mode, path, udp_encap, local_ts, remote_ts,
     nat_original, encr_in, integ_in, encr_out, integ_out, replay_window, outer, binding,
     tell_first, soft_bytes, hard_bytes, soft_packets, hard_packets);
}

namespace v2 {
template <class Ar>
void fields(Ar& ar, IkeKeys& it) {
  auto& [d, ai, ar_, ei, er, pi, pr] = it;
  ar(d, ai, ar_, ei, er, pi, pr);
}
template <class Ar>
void fields(Ar& ar, ChildSa& it) {
  auto& [spec, state, outbound_installed, initiator, installed_at, rekey_at, expire_at, successor,
         predecessor, lowest_nonce] = it;
  ar(spec, state, outbound_installed, initiator, installed_at, rekey_at, expire_at, successor,
     predecessor, lowest_nonce);
}
template <class Ar>
void fields(Ar& ar, Task& it) {
  auto& [kind, child, child_name, not_before, local_ts, remote_ts, orphan, quick, refused_since,
         address] = it;
  ar(kind, child, child_name, not_before, local_ts, remote_ts, orphan, quick, refused_since,
     address);
}
template <class Ar>
void fields(Ar& ar, Collision& it) {
  auto& [lowest_nonce, child, ike] = it;
  ar(lowest_nonce, child, ike);
}
template <class Ar>
void fields(Ar& ar, Followup& it) {
  auto& [methods, next, link, first, more, dh] = it;
  ar(methods, next, link, first, more, dh);
}
template <class Ar>
void fields(Ar& ar, PendingExchange& it) {
  auto& [request, nonce_r, spi, ike_spi, followup, expires] = it;
  ar(request, nonce_r, spi, ike_spi, followup, expires);
}
template <class Ar>
void fields(Ar& ar, ActiveTask& it) {
  auto& [task, dh, nonce, peer_nonce, new_spi, new_ike_spi, child, local_ts, remote_ts, collision,
         response, followup, group_retries, deleted_by_peer, epoch, cookie2] = it;
  ar(task, dh, nonce, peer_nonce, new_spi, new_ike_spi, child, local_ts, remote_ts, collision,
     response, followup, group_retries, deleted_by_peer, epoch, cookie2);
}
template <class Ar>
void fields(Ar& ar, Outstanding& it) {
  auto& [exchange, id, packets, sent, quick, resend_at] = it;
  ar(exchange, id, packets, sent, quick, resend_at);
}
template <class Ar>
void fields(Ar& ar, Mobike& it) {
  auto& [initiator, update, list, epoch, refusals, listed, peer_addresses, seen_as] = it;
  ar(initiator, update, list, epoch, refusals, listed, peer_addresses, seen_as);
}
template <class Ar>
void fields(Ar& ar, LastResponse& it) {
  auto& [id, packets] = it;
  ar(id, packets);
}
// Left out: the connection (Record has its name), what waits for a job or for an answer about use
// (there is none then), fragments (they are sent again), the timer, and the handshake (it is over).
template <class Ar>
void fields(Ar& ar, IkeSa& it) {
  auto& [role, state, spi_i, spi_r, connection, path, encap, nat_here, nat_there,
         peer_fragmentation, ppk, follows_redirects, peer_follows_redirects, peer_hashes, suite,
         keys, nonce_i, nonce_r, iv_counter, job, job_purpose, next_request, expected_request,
         outstanding, last_response, reassembly, tasks, active, responding, pending, mobike,
         reply_path, peer_certificates, children, init_from, half_open, rekeyed, cookie_returned,
         begun, established_at, rekey_at, expire_at, reauth_at, reauth_by, began, reauthenticates,
         liveness_at, keepalive_at, last_heard, discard_at, use_query_sent, probe_slot, next_hint,
         next_told, peer_token, successor, rekey_collision, armed, failure, handshake] = it;
  ar(role, state, spi_i, spi_r, path, encap, nat_here, nat_there, peer_fragmentation, ppk,
     follows_redirects, peer_follows_redirects, peer_hashes, suite, keys, nonce_i, nonce_r,
     iv_counter, next_request, expected_request, outstanding, last_response, tasks, active, pending,
     mobike, reply_path, peer_certificates, children, init_from, rekeyed, cookie_returned, begun,
     established_at, rekey_at, expire_at, reauth_at, reauth_by, began, reauthenticates, liveness_at,
     keepalive_at, last_heard, discard_at, probe_slot, next_hint, next_told, peer_token, successor,
     rekey_collision, failure);
  static_cast<void>(connection), static_cast<void>(job), static_cast<void>(job_purpose),
      static_cast<void>(reassembly), static_cast<void>(responding), static_cast<void>(half_open),
      static_cast<void>(use_query_sent), static_cast<void>(armed), static_cast<void>(handshake);
}
}  // namespace v2

namespace journal {
template <class Ar>
void fields(Ar& ar, Record& it) {
  auto& [sa, connection, mark, holder] = it;
  ar(connection, mark, sa, holder);
}
}  // namespace journal
}  // namespace ike
}  // namespace espalier
