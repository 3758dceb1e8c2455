// The input's gradient: Σ g HT(f - x) (Eq. 6, 7), or Σ g sgn(f - x).

#pragma once

#include <algorithm>
#include <utility>
#include <vector>

#include "strips.h"

namespace {

// Weights in the order in which gradient_tile reads them:
// (group, block of channels, tap, filter, channel). Zeros become -0, as `sign` wants it.
std::vector<float> gradient_filters(const Shape& shape, const float* weight) {
  std::vector<float> weights(shape.filters * shape.group_terms());
  float* to = weights.data();
  for (Index group = 0; group < shape.groups; ++group)
    for_blocks(shape.group_channels(), [&](Index first, Index size) {
      for (Index tap = 0; tap < shape.taps(); ++tap)
        for (Index filter = 0; filter < shape.group_filters(); ++filter) {
          const float* from = weight + tap + first * shape.taps() +
                              (group * shape.group_filters() + filter) * shape.group_terms();
          for (Index channel = 0; channel < size; ++channel)
            *to++ = unsigned_zero(from[channel * shape.taps()]);
        }
    });
  return weights;
}

// An output row (or column) that looks at an input row through a row of the kernel.
struct Look {
  Index out, tap;
};
using Looks = std::vector<std::vector<Look>>;  // of each input row

Looks looks(Index size, Index outs, Index kernel, Index stride, Index padding, Index dilation) {
  Looks result(size);
  for (Index out = 0; out < outs; ++out)
    for (Index tap = 0; tap < kernel; ++tap) {
      const Index in = out * stride - padding + tap * dilation;
      if (0 <= in && in < size) result[in].push_back({out, tap});
    }
  return result;
}

// How a distance changes with x: clipped, or its derivative.
struct Clipped {
  static constexpr float UNIT = 1;
  static Vector of(Vector difference) { return clipped(difference); }
};
struct Sign {
  static constexpr float UNIT = SIGN_UNIT;
  static Vector of(Vector difference) { return sign(difference); }
};

// Gradient of CHANNELS channels of one input pixel.
// upstream: packed as (row, column, filter), from row `first_out` on.
template <typename Slope, int CHANNELS>
void gradient_tile(const Shape& shape, const std::vector<Look>& row_looks,
                   const std::vector<Look>& col_looks, const Vector* input, Index channel_step,
                   const Vector* upstream, Index first_out, const float* weights, Vector* result) {
  const Index filters = shape.group_filters();
  Vector x[CHANNELS], sum[CHANNELS] = {};
  for (int channel = 0; channel < CHANNELS; ++channel) x[channel] = input[channel * channel_step];
  for (const Look row : row_looks)
    for (const Look col : col_looks) {
      const Vector* g = upstream + ((row.out - first_out) * shape.map_cols + col.out) * filters;
      const float* f = weights + (row.tap * shape.kernel_cols + col.tap) * filters * CHANNELS;
      for (Index filter = 0; filter < filters; ++filter, f += CHANNELS)
        for (int channel = 0; channel < CHANNELS; ++channel)
          sum[channel] -= g[filter] * Slope::of(x[channel] - all(f[channel]));
    }
  for (int channel = 0; channel < CHANNELS; ++channel)
    result[channel * channel_step] = sum[channel] / Slope::UNIT;
}

using GradientTile = decltype(&gradient_tile<Clipped, 1>);

template <typename Slope, std::size_t... I>
GradientTile gradient_tile_for(Index channels, std::index_sequence<I...>) {
  static constexpr GradientTile TILES[] = {gradient_tile<Slope, I + 1>...};
  return TILES[channels - 1];
}

// Output rows that look at any of the item's input rows: the first, and how many.
std::pair<Index, Index> output_rows(const Looks& row_looks, const Item& item) {
  Index first = INT64_MAX, last = -1;
  for (Index row = item.first_row; row < item.first_row + item.rows; ++row)
    for (const Look look : row_looks[row]) {
      first = std::min(first, look.out);
      last = std::max(last, look.out);
    }
  return last < 0 ? std::pair<Index, Index>(0, 0) : std::pair(first, last - first + 1);
}

template <typename Slope>
void gradient_item(const Shape& shape, const Item& item, const Looks& row_looks,
                   const Looks& col_looks, const float* input, const std::vector<float>& weights,
                   const float* upstream, float* grad_input) {
  const Index channels = shape.group_channels(), filters = shape.group_filters();
  const Index pixels = item.rows * shape.width;
  const Layout layout = {pixels, shape.width, 1};
  std::vector<Vector> strip(channels * pixels), result(channels * pixels);
  pack(rows_of(item, input, shape.channels, shape.groups, shape.height, shape.width,
               item.first_row, item.rows),
       strip.data(), layout);

  const auto [first_out, outs] = output_rows(row_looks, item);
  std::vector<Vector> g(outs * shape.map_cols * filters);
  if (outs > 0)
    pack(rows_of(item, upstream, shape.filters, shape.groups, shape.map_rows, shape.map_cols,
                 first_out, outs),
         g.data(), {1, shape.map_cols * filters, filters});

  for_blocks(channels, [&](Index first, Index size) {
    const GradientTile tile = gradient_tile_for<Slope>(size, std::make_index_sequence<TILE>());
    const float* f = &weights[(item.group * channels + first) * shape.taps() * filters];
    for (Index row = 0; row < item.rows; ++row)
      for (Index col = 0; col < shape.width; ++col) {
        const Index pixel = first * pixels + row * shape.width + col;
        tile(shape, row_looks[item.first_row + row], col_looks[col], &strip[pixel], pixels,
             g.data(), first_out, f, &result[pixel]);
      }
  });
  unpack(result.data(), layout,
         rows_of(item, grad_input, shape.channels, shape.groups, shape.height, shape.width,
                 item.first_row, item.rows));
}

}  // namespace
