// Sums for the filters' gradients: Σ g x, of which Eq. 5 takes f Σ g, and Σ g sgn(x - f) (Eq. 4).

#pragma once

#include <algorithm>
#include <vector>

#include "strips.h"

namespace {

// A tile has LANES sums, so that `lane_sums` adds up the lanes of all of them at once.
constexpr Index SUM_FILTERS = 4, SUM_TERMS = LANES / 4;
constexpr Index SUM_STRIP = STRIP * 3 / 2;  // bytes, about; a tile reads a few channels of it

inline Index blocks(Index count, Index size) { return (count + size - 1) / size; }

// Tiles of a group: (block of filters, block of terms); what is beyond the last filter or term is
// worked on like the others, and left out at the end.
struct SumTiles {
  Index filters, terms;

  explicit SumTiles(const Shape& shape)
      : filters(blocks(shape.group_filters(), SUM_FILTERS)),
        terms(blocks(shape.group_terms(), SUM_TERMS)) {}

  // Calls use(weight, place) with the places of a weight and of its sum in the tiles.
  template <typename Use>
  void for_weights(const Shape& shape, Use use) const {
    for (Index filter = 0, weight = 0; filter < shape.filters; ++filter)
      for (Index term = 0; term < shape.group_terms(); ++term, ++weight) {
        const Index group = filter / shape.group_filters(), t = filter % shape.group_filters();
        const Index tile = (group * filters + t / SUM_FILTERS) * terms + term / SUM_TERMS;
        use(weight, (tile * SUM_FILTERS + t % SUM_FILTERS) * SUM_TERMS + term % SUM_TERMS);
      }
  }
};

// Weights in the order of the tiles. Zeros become -0: ±0 - -0 is 0, but -0 - 0 is -0, which has a
// sign.
std::vector<float> sign_filters(const Shape& shape, const SumTiles& tiles, const float* weight) {
  std::vector<float> result(shape.groups * tiles.filters * tiles.terms * LANES);
  tiles.for_weights(shape, [&](Index from, Index to) {
    result[to] = weight[from] == 0 ? -0.0f : weight[from];
  });
  return result;
}

// Where a row of positions starts, in the packed input and in the packed gradient of the output.
struct SumRow {
  Index window, upstream;
};

// A tile's sums over all rows of positions. offsets: of each term's pixel in the window. WITH_SIGN:
// of g sgn(x - f) · SIGN_UNIT; else of g x, without weights.
template <bool WITH_SIGN>
Vector sum_tile(const std::vector<SumRow>& rows, Index cols, Index col_step, const Vector* input,
                const Index* offsets, const Vector* upstream, Index filter_step,
                const float* weights) {
  Vector sums[SUM_FILTERS][SUM_TERMS] = {};
  for (const SumRow row : rows)
    for (Index col = 0; col < cols; ++col) {
      Vector g[SUM_FILTERS];
      for (int filter = 0; filter < SUM_FILTERS; ++filter)
        g[filter] = upstream[row.upstream + filter * filter_step + col];
      for (int term = 0; term < SUM_TERMS; ++term) {
        const Vector x = input[row.window + offsets[term] + col * col_step];
        for (int filter = 0; filter < SUM_FILTERS; ++filter)
          if constexpr (WITH_SIGN)
            sums[filter][term] += g[filter] * sign(x - all(weights[filter * SUM_TERMS + term]));
          else
            sums[filter][term] += g[filter] * x;
      }
    }
  Vector all_sums[LANES];
  for (int i = 0; i < LANES; ++i) all_sums[i] = sums[i / SUM_TERMS][i % SUM_TERMS];
  return lane_sums(all_sums);
}

// Adds a strip's sums: some output rows of some blocks of images, all groups. Every tile belongs to
// one thread.
template <bool WITH_SIGN>
void sum_strip(const Shape& shape, const SumTiles& tiles, const Item& item, const float* input,
               const std::vector<float>& weights, const float* upstream, std::vector<Vector>& sums,
               int threads) {
  const Padded padded(shape, item);
  const Index area = padded.rows * padded.cols, positions = item.rows * shape.map_cols;
  const Index filters = tiles.filters * SUM_FILTERS, images = blocks(item.images, LANES);
  std::vector<Vector> x(images * shape.channels * area);               // (block, channel, pixel)
  std::vector<Vector> g(images * shape.groups * filters * positions);  // (block, filter, position)
  std::vector<SumRow> rows;
  for (Index image = 0; image < images; ++image)
    for (Index row = 0; row < item.rows; ++row)
      rows.push_back({image * shape.channels * area + row * shape.stride_rows * padded.cols,
                      image * shape.groups * filters * positions + row * shape.map_cols});
  auto offsets = padded.offsets(shape);
  offsets.resize(tiles.terms * SUM_TERMS);

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
      sums[tile] += sum_tile<WITH_SIGN>(
          rows, shape.map_cols, shape.stride_cols, &x[group * shape.group_channels() * area],
          &offsets[tile % tiles.terms * SUM_TERMS], &g[block * SUM_FILTERS * positions], positions,
          weights.data() + tile * LANES);
    }
  }
}

// Of all strips; result: in the order of the weights in memory.
template <bool WITH_SIGN>
void filter_sums(const Shape& shape, const float* input, const std::vector<float>& weights,
                 const float* upstream, float* result, int threads) {
  const SumTiles tiles(shape);
  std::vector<Vector> sums(shape.groups * tiles.filters * tiles.terms);
  const Index row_bytes =
      sizeof(Vector) * (shape.channels * shape.stride_rows *
                            (shape.width + 2 * shape.padding_cols) +
                        shape.groups * tiles.filters * SUM_FILTERS * shape.map_cols);
  // As many output rows as fit a strip, all strips alike; of small maps, several blocks of images.
  const Index fitting_rows = std::clamp<Index>(SUM_STRIP / row_bytes, 1, shape.map_rows);
  const Index height = blocks(shape.map_rows, blocks(shape.map_rows, fitting_rows));
  const Index images = LANES * std::max<Index>(1, SUM_STRIP / (row_bytes * shape.map_rows));
  for (Index image = 0; image < shape.images; image += images)
    for (Index row = 0; row < shape.map_rows; row += height)
      sum_strip<WITH_SIGN>(shape, tiles,
                           {image, std::min(images, shape.images - image), 0, row,
                            std::min(height, shape.map_rows - row)},
                           input, weights, upstream, sums, threads);
  tiles.for_weights(shape, [&](Index to, Index from) {
    result[to] = sums[from / LANES][from % LANES] / (WITH_SIGN ? SIGN_UNIT : 1);
  });
}

}  // namespace
