// A list that does not change and that many hold: copying it copies a pointer. A value all the
// same: two are equal when what they list is. For what a thousand connections have in common.
#pragma once

#include <initializer_list>
#include <memory>
#include <utility>
#include <vector>

namespace espalier {

template <class T>
class SharedList {
 public:
  using value_type = T;
  using const_iterator = typename std::vector<T>::const_iterator;

  SharedList() = default;
  SharedList(std::vector<T> list)
      : held_(list.empty() ? nullptr : std::make_shared<const std::vector<T>>(std::move(list))) {}
  SharedList(std::initializer_list<T> list) : SharedList(std::vector<T>(list)) {}

  const std::vector<T>& list() const {
    static const std::vector<T> kNone;
    return held_ ? *held_ : kNone;
  }
  operator const std::vector<T>&() const { return list(); }
  const_iterator begin() const { return list().begin(); }
  const_iterator end() const { return list().end(); }
  std::size_t size() const { return list().size(); }
  bool empty() const { return held_ == nullptr; }
  const T& front() const { return list().front(); }
  const T& back() const { return list().back(); }
  const T& operator[](std::size_t index) const { return list()[index]; }

  friend bool operator==(const SharedList& a, const SharedList& b) {
    return a.held_ == b.held_ || a.list() == b.list();
  }

 private:
  std::shared_ptr<const std::vector<T>> held_;  // never to an empty one
};

}  // namespace espalier
