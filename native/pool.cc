#include "pool.h"

#include <algorithm>
#include <new>
#include <system_error>

#include "float-environment.h"
#include "spin.h"
#include "thread-name.h"

namespace seqgrad {
namespace {

/// How long a helper looks out for the next fork before it sleeps: longer than what a program does between two forks,
/// and than most pauses between two programs of a training step.
constexpr std::chrono::microseconds HELPER_PATIENCE{60};
/// How long a caller looks out for the last tickets before it sleeps: if a helper has lost its core, the caller's may
/// be what it needs.
constexpr std::chrono::microseconds CALLER_PATIENCE{20};

/// A wait this long, and longer than a ticket can be, means that a helper has lost its core in the middle of one. Then
/// the caller works alone for some times as long: where other processes want the cores too, helpers cost little more
/// than the share of its time that this leaves.
constexpr std::chrono::microseconds LOST_CORE{500};
constexpr int ALONE_TIMES = 10;

constexpr uint64_t stateOf(uint32_t number, int64_t left) {
  return static_cast<uint64_t>(number) << 32 | static_cast<uint64_t>(left);
}
constexpr uint32_t numberOf(uint64_t state) { return static_cast<uint32_t>(state >> 32); }
constexpr uint32_t leftOf(uint64_t state) { return static_cast<uint32_t>(state); }

}  // namespace

std::shared_ptr<Pool> Pool::get() {
  static std::mutex mutex;
  static std::weak_ptr<Pool> current;
  const std::lock_guard<std::mutex> lock(mutex);
  std::shared_ptr<Pool> pool = current.lock();
  if (pool != nullptr) return pool;
  pool.reset(new (std::nothrow) Pool);
  current = pool;
  return pool;
}

Pool::~Pool() {
  ends_.store(true, std::memory_order_relaxed);
  for (int h = 0; h < helperCount_; h++) wake(*helpers_[h]);
  for (int h = 0; h < helperCount_; h++) helpers_[h]->thread.join();
}

int Pool::enter(int& lanes) {
  const std::lock_guard<std::mutex> lock(mutex_);
  while (helperCount_ < lanes - 1 && addHelper()) continue;
  lanes = std::min(lanes, helperCount_ + 1);
  Slot* slot = std::find_if(slots_, slots_ + SLOTS, [](const Slot& each) { return !each.taken; });
  if (lanes == 1 || slot == slots_ + SLOTS) {
    lanes = 1;
    return -1;
  }
  slot->taken = true;
  slot->aloneUntil = {};
  const int index = static_cast<int>(slot - slots_);
  slotCount_.store(std::max(slotCount_.load(std::memory_order_relaxed), index + 1), std::memory_order_release);
  return index;
}

void Pool::leave(int slot) {
  const std::lock_guard<std::mutex> lock(mutex_);
  slots_[slot].taken = false;
}

bool Pool::addHelper() {
  std::unique_ptr<Helper>& helper = helpers_[helperCount_];
  helper.reset(new (std::nothrow) Helper);
  if (helper == nullptr) return false;
  helper->lane = helperCount_ + 1;
  try {
    Helper& it = *helper;
    helper->thread = std::thread([this, &it] { help(it); });
  } catch (const std::system_error&) {  // the system gives no more threads
    helper.reset();
    return false;
  }
  helperCount_++;
  return true;
}

void Pool::fork(int index, int lanes, int64_t first, int64_t end, Job job) {
  const auto work = [&](int64_t ticket) {
    if (!job.cancelled->load(std::memory_order_relaxed)) job.call(job.work, ticket);
  };
  Slot& slot = slots_[index];
  const Clock::time_point start = Clock::now();
  if (start < slot.aloneUntil) {
    for (int64_t ticket = first; ticket < end; ticket++) work(ticket);
    return;
  }

  const int64_t tickets = end - first;
  lanes = static_cast<int>(std::min<int64_t>(lanes, tickets));
  const uint32_t number = ++slot.number;
  const uint64_t floatMode = FloatMode::current().bits();
  slot.done.store(0, std::memory_order_relaxed);
  for (int lane = 0; lane < lanes; lane++) {
    Seat& seat = seatOf(index, lane);
    const int64_t from = tickets * lane / lanes, to = tickets * (lane + 1) / lanes;
    seat.end.store(first + to, std::memory_order_relaxed);
    seat.call.store(job.call, std::memory_order_relaxed);
    seat.work.store(job.work, std::memory_order_relaxed);
    seat.cancelled.store(job.cancelled, std::memory_order_relaxed);
    seat.floatMode.store(floatMode, std::memory_order_relaxed);
    seat.lanes.store(lanes, std::memory_order_release);
    seat.state.store(stateOf(number, to - from), std::memory_order_release);
  }
  for (int lane = 1; lane < lanes; lane++) wake(*helpers_[lane - 1]);

  int64_t left = tickets;
  for (int lane = 0; lane < lanes; lane++) {
    left -= takeAll(seatOf(index, lane), number, [&](Seat&, int64_t ticket) { work(ticket); });
  }
  waitFor(slot, static_cast<uint64_t>(left), start);
}

/// Takes the next ticket of a seat, if it is part of that fork and has one left.
bool Pool::take(Seat& seat, uint32_t number, int64_t& ticket) {
  uint64_t state = seat.state.load(std::memory_order_acquire);
  do {
    if (numberOf(state) != number || leftOf(state) == 0) return false;
  } while (!seat.state.compare_exchange_weak(state, state - 1, std::memory_order_acquire, std::memory_order_acquire));
  ticket = seat.end.load(std::memory_order_relaxed) - leftOf(state);
  return true;
}

/// Takes the tickets of a seat while there are any. @returns how many.
template <class Do>
int64_t Pool::takeAll(Seat& seat, uint32_t number, const Do& work) {
  int64_t count = 0;
  for (int64_t ticket; take(seat, number, ticket); count++) work(seat, ticket);
  return count;
}

/// Waits until helpers have done so many tickets of a fork that began at `start`.
void Pool::waitFor(Slot& slot, uint64_t tickets, Clock::time_point start) {
  const auto isDone = [&] { return (slot.done.load(std::memory_order_acquire) & ~WAITING) == tickets; };
  if (spin(CALLER_PATIENCE, isDone)) return;
  const Clock::time_point asleep = Clock::now();
  std::unique_lock<std::mutex> lock(slot.mutex);
  slot.done.fetch_or(WAITING, std::memory_order_acq_rel);
  slot.finished.wait(lock, isDone);
  // The caller has done a ticket itself, so that one that somebody is working at does not take longer than this.
  const Clock::duration aTicket = 2 * (asleep - start), slept = Clock::now() - asleep;
  if (slept > LOST_CORE && slept > aTicket) slot.aloneUntil = asleep + slept + ALONE_TIMES * slept;
}

void Pool::help(Helper& me) {
  nameThisThread("seqgrad helper");
  while (!ends_.load(std::memory_order_relaxed)) {
    const bool served = spin(HELPER_PATIENCE, [&] {
      const int slots = slotCount_.load(std::memory_order_acquire);
      for (int slot = 0; slot < slots; slot++) {
        if (serve(me, slot)) return true;
      }
      return false;
    });
    if (!served) sleep(me);
  }
}

/// Does what there is to do in a team's last fork. @returns whether there was a new one.
bool Pool::serve(Helper& me, int slot) {
  Seat& mine = me.seats[slot];
  const uint32_t number = numberOf(mine.state.load(std::memory_order_acquire));
  if (number == me.seen[slot]) return false;
  me.seen[slot] = number;
  const int lanes = mine.lanes.load(std::memory_order_acquire);
  for (int i = 0; i < lanes; i++) {
    const int64_t count = takeAll(seatOf(slot, (me.lane + i) % lanes), number, [&](Seat& seat, int64_t ticket) {
      const uint64_t floatMode = seat.floatMode.load(std::memory_order_relaxed);
      if (floatMode != FloatMode::current().bits()) FloatMode(floatMode).enter();
      if (seat.cancelled.load(std::memory_order_relaxed)->load(std::memory_order_relaxed)) return;
      seat.call.load(std::memory_order_relaxed)(seat.work.load(std::memory_order_relaxed), ticket);
    });
    if (count > 0) report(slots_[slot], count);
  }
  return true;
}

void Pool::report(Slot& slot, int64_t tickets) {
  const uint64_t before = slot.done.fetch_add(static_cast<uint64_t>(tickets), std::memory_order_acq_rel);
  if ((before & WAITING) == 0) return;
  { const std::lock_guard<std::mutex> lock(slot.mutex); }  // the caller is now in its wait, or past it
  slot.finished.notify_one();
}

bool Pool::isCalled(Helper& me) {
  if (ends_.load(std::memory_order_relaxed)) return true;
  const int slots = slotCount_.load(std::memory_order_acquire);
  for (int slot = 0; slot < slots; slot++) {
    if (numberOf(me.seats[slot].state.load(std::memory_order_acquire)) != me.seen[slot]) return true;
  }
  return false;
}

/// A helper's `asleep` is only ever exchanged, so of a helper that lies down and a caller that has just written to its
/// seat one always sees the other.
void Pool::sleep(Helper& me) {
  std::unique_lock<std::mutex> lock(me.mutex);
  me.asleep.exchange(true, std::memory_order_acq_rel);
  if (isCalled(me)) {
    me.asleep.exchange(false, std::memory_order_acq_rel);
    return;
  }
  me.called.wait(lock, [&] { return !me.asleep.load(std::memory_order_acquire); });
}

void Pool::wake(Helper& helper) {
  if (!helper.asleep.exchange(false, std::memory_order_acq_rel)) return;
  { const std::lock_guard<std::mutex> lock(helper.mutex); }  // it is now in its wait, or past it
  helper.called.notify_one();
}

}  // namespace seqgrad
