// A doubly linked list whose links live in its elements: no allocation, O(1) removal by the element alone.
#pragma once

#include <cassert>

namespace sluice {

/// Base of an element. One element is in at most one list per hook; it unlinks itself when destroyed.
class ListHook {
 public:
  ListHook() = default;
  ListHook(const ListHook&) = delete;
  ListHook& operator=(const ListHook&) = delete;
  ~ListHook() { unlink(); }

  bool linked() const { return next_ != nullptr; }
  void unlink() {
    if (!next_) return;
    prev_->next_ = next_;
    next_->prev_ = prev_;
    next_ = prev_ = nullptr;
  }

 private:
  template <class T>
  friend class IntrusiveList;
  ListHook* prev_ = nullptr;
  ListHook* next_ = nullptr;
};

/// A list of T, where T derives from ListHook. Owns nothing.
template <class T>
class IntrusiveList {
 public:
  IntrusiveList() { head_.prev_ = head_.next_ = &head_; }
  IntrusiveList(const IntrusiveList&) = delete;
  IntrusiveList& operator=(const IntrusiveList&) = delete;
  ~IntrusiveList() {
    while (!empty()) front().unlink();
    head_.prev_ = head_.next_ = nullptr;
  }

  bool empty() const { return head_.next_ == &head_; }
  T& front() { return *static_cast<T*>(head_.next_); }
  void push_back(T& element) {
    ListHook& hook = element;
    assert(!hook.linked());
    hook.prev_ = head_.prev_;
    hook.next_ = &head_;
    head_.prev_->next_ = &hook;
    head_.prev_ = &hook;
  }
  void push_front(T& element) {
    ListHook& hook = element;
    assert(!hook.linked());
    hook.next_ = head_.next_;
    hook.prev_ = &head_;
    head_.next_->prev_ = &hook;
    head_.next_ = &hook;
  }
  T& back() { return *static_cast<T*>(head_.prev_); }
  T& pop_front() {
    T& element = front();
    static_cast<ListHook&>(element).unlink();
    return element;
  }
  /// Moves every element of `other` to the end of this list.
  void splice_back(IntrusiveList& other) {
    if (other.empty()) return;
    other.head_.next_->prev_ = head_.prev_;
    other.head_.prev_->next_ = &head_;
    head_.prev_->next_ = other.head_.next_;
    head_.prev_ = other.head_.prev_;
    other.head_.prev_ = other.head_.next_ = &other.head_;
  }
  /// Calls `visit(element)` for each; `visit` may unlink the element it is given, and no other.
  template <class F>
  void for_each(F visit) {
    for (ListHook* hook = head_.next_; hook != &head_;) {
      ListHook* next = hook->next_;
      visit(*static_cast<T*>(hook));
      hook = next;
    }
  }

 private:
  ListHook head_;
};

}  // namespace sluice
