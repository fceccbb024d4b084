#include "ike/v2/table.hpp"

#include <gtest/gtest.h>

#include <cstdlib>
#include <fstream>
#include <iterator>
#include <map>
#include <set>
#include <tuple>

namespace espalier::ike::v2 {
namespace {

using wire::ike::ExchangeType;
using wire::ike::Header;

const std::vector<IkeState> kStates{
    IkeState::kInit,     IkeState::kHalfOpen, IkeState::kAuth,   IkeState::kEstablished,
    IkeState::kReplaced, IkeState::kDeleting, IkeState::kFailed, IkeState::kDead};
const std::vector<ExchangeType> kExchanges{
    ExchangeType::kIkeSaInit,       ExchangeType::kIkeAuth,         ExchangeType::kCreateChildSa,
    ExchangeType::kInformational,   ExchangeType::kIkeIntermediate, ExchangeType::kIkeFollowupKe,
    ExchangeType::kIkeSessionResume};

const Row* find(Role role, IkeState state, ExchangeType exchange, bool response) {
  IkeSa sa;
  sa.role = role;
  sa.state = state;
  Header header;
  header.exchange = exchange;
  header.flags = response ? wire::ike::kFlagResponse : 0;
  return find_row(sa, header);
}

TEST(Table, EveryRowIsFoundAndNoneHidesAnother) {
  using Key = std::tuple<Role, IkeState, ExchangeType, bool>;
  std::map<Key, const Row*> seen;
  for (const Row& row : transition_table()) {
    EXPECT_FALSE(row.story.empty());
    for (const Role role : row.roles) {
      for (const IkeState state : row.states) {
        EXPECT_TRUE(seen.emplace(Key{role, state, row.exchange, row.response}, &row).second)
            << row.story;
        EXPECT_EQ(find(role, state, row.exchange, row.response), &row) << row.story;
      }
    }
  }
  for (const Role role : {Role::kInitiator, Role::kResponder}) {
    for (const IkeState state : kStates) {
      for (const ExchangeType exchange : kExchanges) {
        for (const bool response : {false, true}) {
          const auto expected = seen.find({role, state, exchange, response});
          EXPECT_EQ(find(role, state, exchange, response),
                    expected == seen.end() ? nullptr : expected->second);
        }
      }
    }
  }
}

TEST(Table, NothingIsLegalAfterTheEnd) {
  for (const Role role : {Role::kInitiator, Role::kResponder}) {
    for (const ExchangeType exchange : kExchanges) {
      for (const bool response : {false, true}) {
        EXPECT_EQ(find(role, IkeState::kDead, exchange, response), nullptr);
        EXPECT_EQ(find(role, IkeState::kFailed, exchange, response), nullptr);
      }
    }
  }
  // RFC 7296 section 2.21: before IKE_AUTH has succeeded nothing but IKE_AUTH is acted on.
  for (const IkeState state :
       {IkeState::kInit, IkeState::kIntermediate, IkeState::kHalfOpen, IkeState::kAuth}) {
    EXPECT_EQ(find(Role::kResponder, state, ExchangeType::kCreateChildSa, false), nullptr);
    EXPECT_EQ(find(Role::kResponder, state, ExchangeType::kInformational, false), nullptr);
    EXPECT_EQ(find(Role::kInitiator, state, ExchangeType::kCreateChildSa, false), nullptr);
    EXPECT_EQ(find(Role::kInitiator, state, ExchangeType::kInformational, false), nullptr);
  }
}

TEST(Table, EachHandlerHasOneRow) {
  std::set<Handler> handlers;
  for (const Row& row : transition_table()) EXPECT_TRUE(handlers.insert(row.handler).second);
  EXPECT_EQ(handlers.size(), 12u);
}

TEST(Table, MissingAndCriticalPayloads) {
  const Row* row =
      find(Role::kResponder, IkeState::kEstablished, ExchangeType::kCreateChildSa, false);
  ASSERT_NE(row, nullptr);
  wire::ike::Message message;
  EXPECT_EQ(missing_payload(*row, message), wire::ike::PayloadType::kSa);
  message.payloads.push_back(wire::ike::SaPayload{});
  EXPECT_EQ(missing_payload(*row, message), wire::ike::PayloadType::kNonce);
  message.payloads.push_back(wire::ike::NoncePayload{});
  EXPECT_EQ(missing_payload(*row, message), std::nullopt);
  const auto unknown = static_cast<wire::ike::PayloadType>(99);
  message.payloads.push_back(wire::ike::OtherPayload{unknown, false, {}});
  EXPECT_EQ(unsupported_critical(message), std::nullopt);
  message.payloads.push_back(wire::ike::OtherPayload{unknown, true, {}});
  EXPECT_EQ(unsupported_critical(message), unknown);
}

// ESPALIER_REGENERATE=1 writes the file instead.
TEST(Table, GeneratedPageIsNotStale) {
  const std::string path = std::string(ESPALIER_SOURCE) + "/docs/generated/ikev2-states.md";
  if (std::getenv("ESPALIER_REGENERATE") != nullptr) {
    std::ofstream(path, std::ios::binary) << describe_table();
  }
  std::ifstream file(path, std::ios::binary);
  const std::string text{std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
  EXPECT_EQ(text, describe_table()) << "run ike_test with ESPALIER_REGENERATE=1";
}

}  // namespace
}  // namespace espalier::ike::v2
