// The filters' sign gradient Σ g sgn(x - f) (Eq. 4).

#pragma once

#include <algorithm>
#include <vector>

#include "strips.h"

namespace {

// A tile has LANES sums, so that one transposition adds up the lanes of all of them.
constexpr Index SIGN_FILTERS = 2, SIGN_TERMS = LANES / 2;

inline Index blocks(Index count, Index size) { return (count + size - 1) / size; }

// Tiles of a group: (block of filters, block of terms); what is beyond the last filter or term is
// worked on like the others, and left out at the end.
struct SignTiles {
  Index filters, terms;

  explicit SignTiles(const Shape& shape)
      : filters(blocks(shape.group_filters(), SIGN_FILTERS)),
        terms(blocks(shape.group_terms(), SIGN_TERMS)) {}

  // Calls use(weight, place) with the places of a weight and of its sum in the tiles.
  template <typename Use>
  void for_weights(const Shape& shape, Use use) const {
    for (Index filter = 0, weight = 0; filter < shape.filters; ++filter)
      for (Index term = 0; term < shape.group_terms(); ++term, ++weight) {
        const Index group = filter / shape.group_filters(), t = filter % shape.group_filters();
        const Index tile =
            (group * filters + t / SIGN_FILTERS) * terms + term / SIGN_TERMS;
        use(weight, (tile * SIGN_FILTERS + t % SIGN_FILTERS) * SIGN_TERMS + term % SIGN_TERMS);
      }
  }
};

// Weights in the order of the tiles; zeros become -0.
std::vector<float> sign_filters(const Shape& shape, const SignTiles& tiles, const float* weight) {
  std::vector<float> result(shape.groups * tiles.filters * tiles.terms * LANES);
  tiles.for_weights(shape, [&](Index from, Index to) {
    result[to] = unsigned_zero(weight[from]);
  });
  return result;
}

// Where a row of positions starts, in the packed input and in the packed gradient of the output.
struct SignRow {
  Index window, upstream;
};

// A tile's sums over all rows of positions. offsets: of each term's pixel in the window.
Vector sign_tile(const std::vector<SignRow>& rows, Index cols, Index col_step, const Vector* input,
                 const Index* offsets, const Vector* upstream, Index filter_step,
                 const float* weights) {
  Vector sums[SIGN_FILTERS][SIGN_TERMS] = {};
  for (const SignRow row : rows)
    for (Index col = 0; col < cols; ++col) {
      Vector g[SIGN_FILTERS];
      for (int filter = 0; filter < SIGN_FILTERS; ++filter)
        g[filter] = upstream[row.upstream + filter * filter_step + col];
      for (int term = 0; term < SIGN_TERMS; ++term) {
        const Vector x = input[row.window + offsets[term] + col * col_step];
        for (int filter = 0; filter < SIGN_FILTERS; ++filter)
          sums[filter][term] += g[filter] * sign(x - all(weights[filter * SIGN_TERMS + term]));
      }
    }
  Vector lanes[LANES], total = {};
  for (int i = 0; i < LANES; ++i) lanes[i] = sums[i / SIGN_TERMS][i % SIGN_TERMS];
  transpose(lanes);
  for (const Vector& lane : lanes) total += lane;
  return total;
}

// Adds a strip's sums: some output rows of some blocks of images, all groups. Every tile belongs to
// one thread.
void sign_strip(const Shape& shape, const SignTiles& tiles, const Item& item, const float* input,
                const std::vector<float>& weights, const float* upstream, std::vector<Vector>& sums,
                int threads) {
  const Padded padded(shape, item);
  const Index area = padded.rows * padded.cols, positions = item.rows * shape.map_cols;
  const Index filters = tiles.filters * SIGN_FILTERS, images = blocks(item.images, LANES);
  std::vector<Vector> x(images * shape.channels * area);                 // (block, channel, pixel)
  std::vector<Vector> g(images * shape.groups * filters * positions);  // (block, filter, position)
  std::vector<SignRow> rows;
  for (Index image = 0; image < images; ++image)
    for (Index row = 0; row < item.rows; ++row)
      rows.push_back({image * shape.channels * area + row * shape.stride_rows * padded.cols,
                      image * shape.groups * filters * positions + row * shape.map_cols});
  auto offsets = padded.offsets(shape);
  offsets.resize(tiles.terms * SIGN_TERMS);

  const auto block_of = [&](Index image, Index group) {
    return Item{item.first_image + image * LANES,
                std::min<Index>(LANES, item.images - image * LANES), group, item.first_row,
                item.rows};
  };
#pragma omp parallel num_threads(threads)
  {
#pragma omp for collapse(2) nowait
    for (Index image = 0; image < images; ++image)
      for (Index channel = 0; channel < shape.channels; channel += LANES)
        padded.pack_into(&x[image * shape.channels * area], shape, block_of(image, 0), input,
                         channel, std::min<Index>(LANES, shape.channels - channel));
#pragma omp for collapse(2)
    for (Index image = 0; image < images; ++image)
      for (Index group = 0; group < shape.groups; ++group)
        pack(rows_of(block_of(image, group), upstream, shape.filters, shape.groups, shape.map_rows,
                     shape.map_cols, item.first_row, item.rows),
             &g[(image * shape.groups + group) * filters * positions],
             {positions, shape.map_cols, 1});
#pragma omp for schedule(guided)
    for (Index tile = 0; tile < Index(sums.size()); ++tile) {
      const Index block = tile / tiles.terms, group = block / tiles.filters;
      sums[tile] += sign_tile(rows, shape.map_cols, shape.stride_cols,
                              &x[group * shape.group_channels() * area],
                              &offsets[tile % tiles.terms * SIGN_TERMS],
                              &g[block * SIGN_FILTERS * positions], positions,
                              &weights[tile * LANES]);
    }
  }
}

}  // namespace
