#include "ike/v2/ppk.hpp"

#include <fmt/format.h>

namespace espalier::ike::v2 {
namespace {

// RFC 8784 section 5.1: the identifier's type, then its octets.
constexpr std::uint8_t kPpkIdFixed = 2;

Bytes identity_data(const policy::Ppk& ppk) {
  Bytes data{kPpkIdFixed};
  data.insert(data.end(), ppk.id.begin(), ppk.id.end());
  return data;
}

// An identifier for a log line: printable, and not endless.
std::string shown(ByteView id) {
  std::string text;
  for (const std::uint8_t octet : id.first(std::min<std::size_t>(id.size(), 64))) {
    text += octet >= 0x20 && octet < 0x7f ? static_cast<char>(octet) : '?';
  }
  return text;
}

Error refused(std::string why) { return make_error(ErrorCode::kAuthentication, std::move(why)); }

std::string why_unknown(const IkeSa& sa, const wire::ike::NotifyPayload& identity) {
  if (identity.data.empty() || identity.data[0] != kPpkIdFixed) {
    return "the peer names its post-quantum key by a type other than PPK_ID_FIXED, which is not "
           "supported";
  }
  const std::string theirs = shown(ByteView(identity.data).subspan(1));
  const auto& ppk = sa.connection->ppk;
  if (!ppk) {
    return fmt::format("the peer uses the post-quantum key '{}', and 'ppk' is not set here",
                       theirs);
  }
  return fmt::format(
      "the peer uses the post-quantum key '{}', ours is '{}': set the same id and "
      "secret in 'ppk' on both sides",
      theirs, shown(ppk->id));
}

}  // namespace

Status agree_on_ppk(IkeSa& sa, const Message& response) {
  const auto& ppk = sa.connection->ppk;
  sa.handshake().use_ppk = ppk && response.notify(NotifyType::kUsePpk) != nullptr;
  if (!ppk || sa.handshake().use_ppk || !ppk->required) return {};
  return refused(fmt::format(
      "{} has no post-quantum key (RFC 8784), and 'ppk' requires one here: set it there too, or "
      "required: false here",
      sa.path.remote.to_string()));
}

Status begin_ppk(IkeSa& sa) {
  Handshake& handshake = sa.handshake();
  if (!handshake.use_ppk) return {};
  const policy::Ppk& ppk = *sa.connection->ppk;
  handshake.ppk_keys = sa.keys;
  TRY(mix_ppk(sa.suite.prf, ppk.secret.reveal(), handshake.ppk_keys));
  handshake.ppk_stage = ppk.required ? PpkStage::kMixed : PpkStage::kPlain;
  return {};
}

bool take_plain_proof(IkeSa& sa, Bytes& data) {
  if (sa.handshake().ppk_stage != PpkStage::kPlain) return false;
  sa.handshake().no_ppk_auth = std::move(data);
  sa.handshake().ppk_stage = PpkStage::kMixed;
  return true;
}

void add_ppk(const IkeSa& sa, std::vector<Payload>& payloads) {
  if (sa.handshake().ppk_stage == PpkStage::kNone) return;
  payloads.push_back(make_notify(NotifyType::kPpkIdentity, identity_data(*sa.connection->ppk)));
  if (!sa.connection->ppk->required) {
    payloads.push_back(make_notify(NotifyType::kNoPpkAuth, sa.handshake().no_ppk_auth));
  }
}

Status finish_ppk(Context& ctx, IkeSa& sa, const Message& response) {
  Handshake& handshake = sa.handshake();
  if (handshake.ppk_stage == PpkStage::kNone) return {};
  const std::string id = shown(sa.connection->ppk->id);
  if (response.notify(NotifyType::kPpkIdentity) != nullptr) {
    // What it holds is ignored; that it is there says that the PPK is in use.
    sa.keys = std::move(handshake.ppk_keys);
    sa.ppk = true;
  } else if (sa.connection->ppk->required) {
    return refused(
        fmt::format("the peer does not use the post-quantum key '{}', which 'ppk' "
                    "requires here",
                    id));
  } else {
    ctx.event(EventKind::kNote, LogLevel::kWarning, sa.pair(),
              fmt::format("the peer does not have the post-quantum key '{}': the IKE SA goes on "
                          "without one, because 'ppk' has required: false",
                          id));
  }
  handshake.ppk_stage = PpkStage::kNone;
  handshake.ppk_keys = IkeKeys();
  handshake.no_ppk_auth.clear();
  return {};
}

Status choose_ppk(Context& ctx, IkeSa& sa, const Message& request) {
  const auto& ppk = sa.connection->ppk;
  if (!sa.handshake().use_ppk) {
    if (!ppk || !ppk->required) return {};
    return refused(
        "the peer uses no post-quantum key (RFC 8784), and 'ppk' requires one here: set "
        "it there too, or required: false here");
  }
  const auto* identity = request.notify(NotifyType::kPpkIdentity);
  if (identity == nullptr) {
    return refused("the peer agreed to a post-quantum key and then named none (PPK_IDENTITY)");
  }
  if (ppk && identity->data == identity_data(*ppk)) {
    TRY(mix_ppk(sa.suite.prf, ppk->secret.reveal(), sa.keys));
    sa.ppk = true;
    return {};
  }
  const auto* plain = request.notify(NotifyType::kNoPpkAuth);
  const std::string why = why_unknown(sa, *identity);
  if ((ppk && ppk->required) || plain == nullptr || plain->data.empty()) return refused(why);
  ctx.event(EventKind::kNote, LogLevel::kWarning, sa.pair(),
            why + "; the IKE SA goes on without one, because neither end requires it");
  sa.handshake().no_ppk_auth = plain->data;
  return {};
}

const IkeKeys& keys_of_auth(const IkeSa& sa, Role end) {
  const bool ours = end == sa.role;
  return ours && sa.handshake().ppk_stage == PpkStage::kMixed ? sa.handshake().ppk_keys : sa.keys;
}

}  // namespace espalier::ike::v2
