// Vectors of floats, and what the kernels do with them, for AVX-512, AVX and any other CPU.

#pragma once

#include <cstdint>

#if defined(__AVX__)
#include <immintrin.h>
#endif

#include "shape.h"

namespace {

#if defined(__AVX512DQ__)
constexpr int LANES = 16;
constexpr int TILE = 8;  // filters, or channels, whose sums are in registers at once
#elif defined(__AVX__)
constexpr int LANES = 8;
constexpr int TILE = 6;
#else
constexpr int LANES = 4;
constexpr int TILE = 6;
#endif
constexpr Index RUN = 32;             // terms added one by one; longer sums are sums of runs
constexpr Index STRIP = 512 * 1024;   // bytes of a packed strip, about; half of a usual L2 cache

typedef float Vector __attribute__((vector_size(4 * LANES)));
typedef std::int32_t Indices __attribute__((vector_size(4 * LANES)));

inline Vector all(float value) { return value - Vector{}; }

inline Vector larger(Vector a, Vector b) { return a > b ? a : b; }

// HT: clipped to -1 … 1. GCC finds no short form for it by itself.
inline Vector clipped(Vector a) {
#if defined(__AVX512DQ__)
  constexpr int SMALLER_MAGNITUDE_SIGN_OF_FIRST = 2;
  return _mm512_range_ps(a, all(1), SMALLER_MAGNITUDE_SIGN_OF_FIRST);
#elif defined(__AVX__)
  return _mm256_min_ps(_mm256_max_ps(a, all(-1)), all(1));
#else
  const Vector above = a > all(-1) ? a : all(-1);
  return above < all(1) ? above : all(1);
#endif
}

// What to subtract from x for `sign`: ±0 - -0 is 0, but -0 - 0 is -0, which has a sign.
inline float unsigned_zero(float f) { return f == 0 ? -0.0f : f; }

// -SIGN_UNIT, 0 or SIGN_UNIT as `a` is below, at or above 0; `a` is a difference x - unsigned_zero(f).
#if defined(__AVX512DQ__)
constexpr float SIGN_UNIT = 1;
inline Vector sign(Vector a) {
  // A digit, from the last on, for: quiet, signaling NaN; 0; 1; -∞, ∞; other negative, positive.
  // Digit 2 is a NaN, 8 is 0, 9 is -1, A is 1.
  return _mm512_fixupimm_ps(a, a, _mm512_set1_epi32(0xA9A9A822), 0);
}
#elif defined(__AVX2__)
constexpr float SIGN_UNIT = 2;
inline Vector sign(Vector a) {
  // The bits of 2.0 are 1 << 30: the only float whose negative has the negative integer's bits.
  return _mm256_castsi256_ps(_mm256_sign_epi32(_mm256_set1_epi32(1 << 30), _mm256_castps_si256(a)));
}
#else
constexpr float SIGN_UNIT = 1;
inline Vector sign(Vector a) {
  return (a > Vector{} ? all(1) : Vector{}) - (a < Vector{} ? all(1) : Vector{});
}
#endif

}  // namespace
