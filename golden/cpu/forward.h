// Y = -Σ|x - f| (Eq. 2).

#pragma once

#include <algorithm>
#include <utility>
#include <vector>

#include "strips.h"

namespace {

// Weights in the order in which sad_tile reads them, (group, block of filters, term, filter), and
// each filter's sum.
struct ForwardFilters {
  std::vector<float> weights, sums;

  ForwardFilters(const Shape& shape, const float* weight)
      : weights(shape.filters * shape.group_terms()), sums(shape.filters) {
    const Index terms = shape.group_terms();
    float* to = weights.data();
    for (Index group = 0; group < shape.groups; ++group)
      for_blocks(shape.group_filters(), [&](Index block, Index size) {
        const Index first = group * shape.group_filters() + block;
        double sum[TILE] = {};
        for (Index term = 0; term < terms; ++term)
          for (Index filter = 0; filter < size; ++filter)
            sum[filter] += *to++ = weight[(first + filter) * terms + term];
        std::copy(sum, sum + size, &sums[first]);
      });
  }
};

// Outputs of FILTERS filters at COLS neighboring positions. window: the first position's pixels;
// offsets: of each term's pixel. -Σ|x - f| = Σx + Σf - Σ 2 max(x, f) takes two instructions for a
// term, of which the multiply-add leaves the adders to the comparison.
template <int FILTERS, int COLS>
void sad_tile(const Vector* window, Index col_step, const std::vector<Index>& offsets,
              const float* weights, const float* weight_sums, Vector* output, Index filter_step) {
  const Index terms = offsets.size();
  Vector total[FILTERS][COLS];
  for (int filter = 0; filter < FILTERS; ++filter)
    for (int col = 0; col < COLS; ++col) total[filter][col] = all(weight_sums[filter]);
  for (Index first = 0; first < terms; first += RUN) {
    Vector inputs[COLS] = {}, run[FILTERS][COLS] = {};
    for (Index term = first; term < std::min(first + RUN, terms); ++term, weights += FILTERS) {
      Vector x[COLS];
      for (int col = 0; col < COLS; ++col) {
        x[col] = window[offsets[term] + col * col_step];
        inputs[col] += x[col];
      }
      for (int filter = 0; filter < FILTERS; ++filter)
        for (int col = 0; col < COLS; ++col)
          run[filter][col] -= 2 * larger(x[col], all(weights[filter]));
    }
    for (int filter = 0; filter < FILTERS; ++filter)
      for (int col = 0; col < COLS; ++col) total[filter][col] += run[filter][col] + inputs[col];
  }
  for (int filter = 0; filter < FILTERS; ++filter)
    for (int col = 0; col < COLS; ++col) output[filter * filter_step + col] = total[filter][col];
}

using SadTile = decltype(&sad_tile<1, 1>);

template <int COLS, std::size_t... I>
SadTile sad_tile_for(Index filters, std::index_sequence<I...>) {
  static constexpr SadTile TILES[] = {sad_tile<I + 1, COLS>...};
  return TILES[filters - 1];
}

// One block of filters at every position of the strip.
void sad_block(const Shape& shape, Index filters, const Vector* strip, Index strip_row,
               const std::vector<Index>& offsets, const float* weights, const float* weight_sums,
               Vector* output, Index rows) {
  const SadTile two = sad_tile_for<2>(filters, std::make_index_sequence<TILE>());
  const SadTile one = sad_tile_for<1>(filters, std::make_index_sequence<TILE>());
  for (Index row = 0; row < rows; ++row)
    for (Index col = 0; col < shape.map_cols; col += 2)
      (col + 1 < shape.map_cols ? two : one)(
          strip + row * shape.stride_rows * strip_row + col * shape.stride_cols, shape.stride_cols,
          offsets, weights, weight_sums, output + row * shape.map_cols + col, rows * shape.map_cols);
}

void forward_item(const Shape& shape, const Item& item, const float* input,
                  const ForwardFilters& filters, float* output) {
  const Padded padded(shape, item);
  std::vector<Vector> strip(shape.group_channels() * padded.rows * padded.cols);
  padded.pack_into(strip.data(), shape, item, input, 0, shape.group_channels());
  const auto offsets = padded.offsets(shape);

  const Index positions = item.rows * shape.map_cols;
  std::vector<Vector> result(shape.group_filters() * positions);
  for_blocks(shape.group_filters(), [&](Index block, Index size) {
    const Index filter = item.group * shape.group_filters() + block;
    sad_block(shape, size, strip.data(), padded.cols, offsets,
              &filters.weights[filter * offsets.size()], &filters.sums[filter],
              &result[block * positions], item.rows);
  });
  unpack(result.data(), {positions, shape.map_cols, 1},
         rows_of(item, output, shape.filters, shape.groups, shape.map_rows, shape.map_cols,
                 item.first_row, item.rows));
}

}  // namespace
