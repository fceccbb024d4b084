// Every message of an IKE SA's life as no honest peer sends it: each octet changed, cut at each
// length, replayed, reflected, from another address; and inside the encryption, by who has the
// keys. Each one costs no state and is named by exactly one counter; none is an assertion.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include "ike/core/limits.hpp"
#include "ike/core/seal.hpp"
#include "policy/proposal.hpp"
#include "sim/cheap_jobs.hpp"
#include "sim/two.hpp"

namespace espalier::sim {
namespace {

using ike::Counter;
using wire::ike::ExchangeType;
using wire::ike::Payload;
using wire::ike::PayloadType;

constexpr std::array kReasons{
    Counter::kResponsesRepeated, Counter::kHintsIgnored,  Counter::kHintChecks,
    Counter::kCookiesDemanded,   Counter::kDropShort,     Counter::kDropVersion,
    Counter::kDropUnknownSpi,    Counter::kDropMalformed, Counter::kDropIntegrity,
    Counter::kDropMessageId,     Counter::kDropBusy,      Counter::kDropUnexpected,
    Counter::kDropFragment,      Counter::kDropHalfOpen,  Counter::kDropCookie,
    Counter::kNoProposal,        Counter::kGroupRefused,  Counter::kAuthFailed,
    Counter::kTsRefused,
};

std::uint64_t reasons(const ike::Endpoint& engine) {
  std::uint64_t sum = 0;
  for (const Counter each : kReasons) sum += engine.counter(each);
  return sum;
}

// Both ends as they are when a datagram arrives.
struct Moment {
  std::string what;
  Instant now;
  ike::Endpoint receiver, sender;
  crypto::SeededRng rng{0};
  ike::Path path;  // as the receiver sees it
  Bytes datagram;
  std::size_t to = 0;
  bool is_init = false;
  bool is_request = false;
};

class Recorder final : public Observer {
 public:
  explicit Recorder(World& world) : world_(world) {}
  void on_deliver(const Host& host, const Packet& packet) override {
    const auto message = wire::ike::parse_message(packet.datagram);
    if (!message) return;
    Moment moment;
    moment.what = fmt::format("{} {} to {} at {:.3f} s", wire::ike::name(message->header.exchange),
                              message->header.is_response() ? "response" : "request", host.name,
                              seconds(world_.now() - Instant()));
    moment.now = world_.clock(host);
    moment.receiver = host.engine;
    moment.sender = world_.host(host.id == 0 ? "flexo" : "bender").engine;
    moment.rng = host.rng;
    moment.path = packet.path;
    moment.datagram = packet.datagram;
    moment.to = host.id;
    moment.is_init = message->header.exchange == ExchangeType::kIkeSaInit;
    moment.is_request = !message->header.is_response();
    moments.push_back(std::move(moment));
  }
  std::vector<Moment> moments;

 private:
  World& world_;
};

ike::JobResult work(const ike::Job& job, crypto::Rng& rng) {
  return run_cheap_job(job, rng, Keys(), 0);
}

// A whole life: start, liveness, rekeys from both ends, a child deleted, the SA closed.
struct Life {
  Two two;
  Recorder recorder;
  explicit Life(const std::string& proposal = "aes256gcm16-prfsha256-x25519")
      : two(
            1,
            [&](policy::Connection& connection) {
              connection.proposals = {policy::parse_ike_proposal(proposal).value()};
              connection.children.front().proposals = {
                  policy::parse_esp_proposal("aes256gcm16-x25519").value()};
              connection.dpd = 15s;
            },
            with_token()),
        recorder(two.world) {
    World& world = two.world;
    world.observer = &recorder;
    world.run_job = work;
    EXPECT_TRUE(two.start());
    world.run_for(20s);
    for (const char* host : {"bender", "flexo"}) {
      const std::string pair = host == std::string("bender") ? "bender-flexo" : "flexo-bender";
      world.command(host, ike::Rekey{pair, false});
      world.run_for(6s);
      world.command(host, ike::Rekey{pair, true});
      world.run_for(6s);
    }
    Host& flexo = world.host("flexo");
    const ike::ChildSaSpec spec = two.pair("flexo").children.front().spec;
    flexo.engine.handle_completion(
        world.now(), flexo.rng,
        ike::HardExpired{ike::Direction::kIn, spec.spi_in, spec.path.remote.ip});
    world.command("flexo", ike::Rekey{"nobody", false});  // drains
    world.run_for(6s);
    world.command("bender", ike::Terminate{"bender-flexo"});
    world.run_for(6s);
    world.observer = nullptr;
  }
  // With a secret there is no chance in an answer.
  static ike::Settings with_token() {
    ike::Settings settings;
    settings.qcd_secret = SecretBytes(as_bytes("bad input"));
    return settings;
  }
};

const Life& life() {
  static const Life kLife;
  return kLife;
}

// What of an engine a datagram might have changed for good; what it counts, tells and sends aside.
ike::Core substance(const ike::Endpoint& engine) {
  ike::Core core = engine.core();
  core.counters = {};
  core.events.clear();
  core.transmits.clear();
  core.drop_window = {};
  core.drops_told = core.drops_untold = 0;
  core.answers = {};
  return core;
}

struct Outcome {
  ike::Endpoint engine;
  crypto::SeededRng rng;
  std::uint64_t named = 0;  // by counters
  std::size_t answers = 0;
  bool changed = false;
};

Outcome suffer(const Moment& moment, const ike::Endpoint& victim, const ike::Path& path,
               const Bytes& datagram) {
  Outcome out{victim, moment.rng, 0, 0, false};
  out.engine.handle_datagram(moment.now, out.rng, path, datagram);
  out.named = reasons(out.engine) - reasons(victim);
  out.answers = out.engine.core().transmits.size() - victim.core().transmits.size();
  out.changed = !(substance(out.engine) == substance(victim));
  return out;
}

// It left no trace but one count and at most one answer.
void expect_dropped(const Outcome& out, const std::string& what) {
  EXPECT_EQ(out.named, 1u) << what;
  EXPECT_FALSE(out.changed) << what;
  EXPECT_LE(out.answers, 1u) << what;
}

// Unprotected: it may be taken for true, which costs one half-open SA or the attempt it answers.
void expect_bounded(const Outcome& out, const ike::Endpoint& before, const std::string& what) {
  EXPECT_TRUE(out.named == 1 || out.changed) << what << " " << out.named;
  EXPECT_LE(out.engine.core().sas.size(), before.core().sas.size() + 1) << what;
  EXPECT_LE(out.answers, 1u) << what;
}

void run_on(Outcome& out, Instant now, Duration time) {
  const Instant limit = now + time;
  for (;;) {
    while (auto effect = out.engine.poll_effect()) {
      if (const auto* job = std::get_if<ike::StartJob>(&*effect)) {
        out.engine.handle_completion(now, out.rng, ike::JobDone{job->id, work(job->job, out.rng)});
      } else if (const auto* query = std::get_if<ike::QueryUse>(&*effect)) {
        out.engine.handle_completion(now, out.rng, ike::UseReport{query->sa, std::nullopt});
      }
    }
    while (out.engine.poll_transmit()) {
    }
    const auto wakeup = out.engine.poll_timeout();
    if (!wakeup || wakeup->at > limit) return;
    now = std::max(now, wakeup->at);
    out.engine.handle_timeout(now, out.rng);
  }
}

TEST(BadInput, TheLifeHasEveryMessage) {
  std::set<std::string> kinds;
  for (const Moment& moment : life().recorder.moments) {
    kinds.insert(moment.what.substr(0, moment.what.find(" at ")));
  }
  EXPECT_EQ(kinds.size(), 16u) << "four exchanges, requests and responses, to both ends";
}

TEST(BadInput, EachOctetChanged) {
  std::size_t mutants = 0;
  for (const Moment& moment : life().recorder.moments) {
    for (std::size_t at = 0; at < moment.datagram.size(); ++at) {
      for (const std::uint8_t flip : {std::uint8_t(0x01), std::uint8_t(0x80), std::uint8_t(0xff)}) {
        Bytes bad = moment.datagram;
        bad[at] ^= flip;
        const Outcome out = suffer(moment, moment.receiver, moment.path, bad);
        const std::string what = fmt::format("{}, octet {} ^ {:02x}", moment.what, at, flip);
        if (moment.is_init) {
          expect_bounded(out, moment.receiver, what);
        } else {
          expect_dropped(out, what);
        }
        ++mutants;
        if (HasFailure()) return;
      }
    }
  }
  EXPECT_GT(mutants, 10000u);
}

TEST(BadInput, CutAtEachLength) {
  for (const Moment& moment : life().recorder.moments) {
    for (std::size_t length = 0; length < moment.datagram.size(); ++length) {
      Bytes bad(moment.datagram.begin(),
                moment.datagram.begin() + static_cast<std::ptrdiff_t>(length));
      const auto what = [&] { return fmt::format("{}, cut at {}", moment.what, length); };
      expect_dropped(suffer(moment, moment.receiver, moment.path, bad), what());
      // Cut, with a length field that fits.
      if (length < wire::ike::kHeaderOctets) continue;
      for (std::size_t i = 0; i < 4; ++i) {
        bad[24 + i] = static_cast<std::uint8_t>(length >> (24 - 8 * i));
      }
      const Outcome out = suffer(moment, moment.receiver, moment.path, bad);
      if (moment.is_init) {
        expect_bounded(out, moment.receiver, what() + ", length mended");
      } else {
        expect_dropped(out, what() + ", length mended");
      }
      if (HasFailure()) return;
    }
  }
}

// A datagram of the past comes again, at every later moment.
TEST(BadInput, Replayed) {
  const auto& moments = life().recorder.moments;
  std::size_t half_open = 0;
  for (std::size_t now = 0; now < moments.size(); ++now) {
    for (std::size_t then = 0; then < now; ++then) {
      if (moments[then].to != moments[now].to) continue;
      const Outcome out =
          suffer(moments[now], moments[now].receiver, moments[then].path, moments[then].datagram);
      const std::string what = moments[then].what + " again, before " + moments[now].what;
      if (moments[then].is_init && moments[then].is_request && out.named == 0) {
        // The SA it began is gone: nothing tells it from a new one, until the IKE_AUTH that never
        // comes.
        expect_bounded(out, moments[now].receiver, what);
        Outcome later = out;
        run_on(later, moments[now].now, ike::kHalfOpenLifetime + 10s);
        EXPECT_EQ(later.engine.core().half_open.size(), 0u) << what;
        ++half_open;
      } else {
        expect_dropped(out, what);
      }
      if (HasFailure()) return;
    }
  }
  EXPECT_GT(half_open, 0u);
}

TEST(BadInput, ReflectedToItsSender) {
  for (const Moment& moment : life().recorder.moments) {
    const ike::Path back{moment.path.remote, moment.path.local};
    const Outcome out = suffer(moment, moment.sender, back, moment.datagram);
    if (moment.is_init && moment.is_request) {
      expect_bounded(out, moment.sender, moment.what + ", reflected");
    } else {
      expect_dropped(out, moment.what + ", reflected");
    }
  }
}

// An IKE_SA_INIT from an address that nobody has begins nothing. What is protected proves who sent
// it, from wherever it comes.
TEST(BadInput, FromAnotherAddress) {
  for (const Moment& moment : life().recorder.moments) {
    ike::Path other = moment.path;
    other.remote.ip = IpAddress::parse("192.0.2.66").value();
    const Outcome out = suffer(moment, moment.receiver, other, moment.datagram);
    if (moment.is_init && moment.is_request) {
      expect_dropped(out, moment.what + ", from elsewhere");
      continue;
    }
    EXPECT_EQ(out.named + (out.changed ? 1 : 0), 1u) << moment.what << ", from elsewhere";
    for (std::size_t at = 0; at < moment.datagram.size() && !moment.is_init; ++at) {
      Bytes bad = moment.datagram;
      bad[at] ^= 0x10;
      expect_dropped(suffer(moment, moment.receiver, other, bad), moment.what + ", from elsewhere");
    }
  }
}

// ---- inside the encryption

// The SA that the message is for, and the keys of its sender.
const ike::v2::IkeSa* sa_of(const Moment& moment, const wire::ike::Header& header) {
  const auto& sas = moment.receiver.core().sas;
  const auto found = sas.find(header.from_initiator() ? header.spi_r : header.spi_i);
  return found == sas.end() ? nullptr : &found->second;
}

ike::SealKeys keys_of(const ike::v2::IkeSa& sa) {
  return sa.role == ike::v2::Role::kInitiator
             ? ike::SealKeys{sa.suite.cipher, sa.keys.er, sa.keys.ar}
             : ike::SealKeys{sa.suite.cipher, sa.keys.ei, sa.keys.ai};
}

class Inside {
 public:
  explicit Inside(const Moment& moment) : moment_(moment) {
    const auto message = wire::ike::parse_message(moment.datagram);
    if (!message || message->payloads.empty()) return;
    const auto* sk = std::get_if<wire::ike::SkPayload>(&message->payloads.back());
    sa_ = sa_of(moment, message->header);
    if (sk == nullptr || sa_ == nullptr || sa_->keys.d.empty()) return;
    header_ = message->header;
    if (auto opened = ike::open_sk(moment.datagram, *sk, keys_of(*sa_))) {
      payloads_ = std::move(*opened);
      good_ = true;
    }
  }
  bool good() const { return good_; }
  const std::vector<Payload>& payloads() const { return payloads_; }
  std::size_t tried() const { return tried_; }

  void send(const std::vector<Payload>& payloads, const std::string& what) {
    PayloadType first = PayloadType::kNone;
    const Bytes octets = wire::ike::encode_payloads(payloads, first);
    send(first, octets, what);
  }
  void send(PayloadType first, ByteView octets, const std::string& what) {
    ++tried_;
    std::uint64_t counter = std::uint64_t{1} << 63;
    crypto::SeededRng rng(3);
    const Bytes sealed = ike::seal_octets(header_, first, octets, keys_of(*sa_), {counter, rng});
    Outcome out = suffer(moment_, moment_.receiver, moment_.path, sealed);
    const std::string text = moment_.what + ": " + what;
    EXPECT_TRUE(out.named > 0 || out.changed) << text;
    run_on(out, moment_.now, 60s);
    const ike::Core& core = out.engine.core();
    EXPECT_LE(core.sas.size(), moment_.receiver.core().sas.size() + 2) << text;
    EXPECT_LE(core.inbound_spis.size(), moment_.receiver.core().inbound_spis.size() + 2) << text;
    EXPECT_LE(core.jobs.size(), core.sas.size()) << text;
  }

 private:
  const Moment& moment_;
  wire::ike::Header header_;
  const ike::v2::IkeSa* sa_ = nullptr;
  std::vector<Payload> payloads_;
  std::size_t tried_ = 0;
  bool good_ = false;
};

void change_insides(const Moment& moment, std::size_t& tried) {
  Inside inside(moment);
  ASSERT_TRUE(inside.good()) << moment.what;
  const std::vector<Payload>& payloads = inside.payloads();
  inside.send({}, "nothing inside");
  for (std::size_t i = 0; i < payloads.size(); ++i) {
    const auto here = static_cast<std::ptrdiff_t>(i);
    const std::string name =
        fmt::format("payload {} ({})", i, wire::ike::name(wire::ike::type_of(payloads[i])));
    std::vector<Payload> bad = payloads;
    bad.erase(bad.begin() + here);
    inside.send(bad, name + " left out");
    bad = payloads;
    bad.insert(bad.begin() + here, payloads[i]);
    inside.send(bad, name + " twice");
    bad = payloads;
    bad[i] = wire::ike::OtherPayload{static_cast<PayloadType>(200), true, {1, 2, 3}};
    inside.send(bad, name + " of an unknown critical type");
  }
  PayloadType first = PayloadType::kNone;
  const Bytes octets = wire::ike::encode_payloads(payloads, first);
  for (const std::uint8_t flip : {std::uint8_t(0x01), std::uint8_t(0x80), std::uint8_t(0xff)}) {
    inside.send(static_cast<PayloadType>(static_cast<std::uint8_t>(first) ^ flip), octets,
                "another first type");
  }
  for (std::size_t at = 0; at < octets.size(); ++at) {
    for (const std::uint8_t flip : {std::uint8_t(0x01), std::uint8_t(0x80), std::uint8_t(0xff)}) {
      Bytes changed = octets;
      changed[at] ^= flip;
      inside.send(first, changed, fmt::format("octet {} inside ^ {:02x}", at, flip));
    }
    inside.send(first, ByteView(octets).first(at), fmt::format("cut inside at {}", at));
    if (testing::Test::HasFailure()) return;
  }
  tried += inside.tried();
}

TEST(BadInput, EachFieldChangedByWhoHasTheKeys) {
  std::size_t tried = 0;
  for (const Moment& moment : life().recorder.moments) {
    if (!moment.is_init) change_insides(moment, tried);
    if (HasFailure()) return;
  }
  EXPECT_GT(tried, 5000u);
}

TEST(BadInput, TheSameOfIntermediateExchanges) {
  const Life with("aes256gcm16-prfsha256-x25519-ke1_ecp256");
  std::size_t tried = 0, seen = 0;
  for (const Moment& moment : with.recorder.moments) {
    if (moment.what.find("IKE_INTERMEDIATE") == std::string::npos &&
        moment.what.find("IKE_FOLLOWUP_KE") == std::string::npos) {
      continue;
    }
    ++seen;
    for (std::size_t at = 0; at < moment.datagram.size(); ++at) {
      Bytes bad = moment.datagram;
      bad[at] ^= 0x11;
      expect_dropped(suffer(moment, moment.receiver, moment.path, bad),
                     fmt::format("{}, octet {}", moment.what, at));
    }
    change_insides(moment, tried);
    if (HasFailure()) return;
  }
  EXPECT_GE(seen, 6u);
}

// Fragments (RFC 7383), changed, cut and repeated: none is kept that is not authentic, none is
// silent.
TEST(BadInput, Fragments) {
  for (const Moment& moment : life().recorder.moments) {
    const auto message = wire::ike::parse_message(moment.datagram);
    const ike::v2::IkeSa* sa = moment.is_init ? nullptr : sa_of(moment, message->header);
    if (sa == nullptr || moment.datagram.size() < 200) continue;
    const auto* sk = std::get_if<wire::ike::SkPayload>(&message->payloads.back());
    const auto opened = ike::open_sk(moment.datagram, *sk, keys_of(*sa));
    ASSERT_TRUE(opened);
    std::uint64_t counter = std::uint64_t{1} << 63;
    crypto::SeededRng rng(3);
    const auto parts = ike::seal(message->header, *opened, keys_of(*sa), {counter, rng}, 120);
    ASSERT_GE(parts.size(), 2u);
    ike::Endpoint engine = moment.receiver;
    for (std::size_t i = 0; i < parts.size(); ++i) {
      for (std::size_t at = 0; at < parts[i].size(); ++at) {
        Bytes bad = parts[i];
        bad[at] ^= 0x11;
        expect_dropped(suffer(moment, engine, moment.path, bad),
                       fmt::format("{}, fragment {} octet {}", moment.what, i, at));
      }
      const Outcome taken = suffer(moment, engine, moment.path, parts[i]);
      EXPECT_TRUE(taken.changed && taken.named == 0) << moment.what << " fragment " << i;
      engine = taken.engine;
      if (i + 1 == parts.size()) break;
      expect_dropped(suffer(moment, engine, moment.path, parts[i]), moment.what + ", repeated");
    }
    if (HasFailure()) return;
  }
}

}  // namespace
}  // namespace espalier::sim
