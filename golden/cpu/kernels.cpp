// The adder layer on the CPU, in float: Y = -Σ|x - f| (Eq. 2), the input's gradient Σ g HT(f - x)
// (Eq. 6, 7) or Σ g sgn(f - x), and the filters' sign gradient Σ g sgn(x - f) (Eq. 4).
//
// One vector holds the same pixel of LANES images. So every kernel size, stride and dilation
// reads whole vectors, nothing is unfolded, and a filter's weight is one scalar for all lanes.
// Maps in memory are (images, channels, height, width); a strip of rows of LANES images is
// transposed into such vectors ("packed"), worked on while it is in the cache, and transposed
// back. Strips are independent of each other: threads share them out, and sums do not depend on
// the number of threads.

#include "forward.h"
#include "input_gradient.h"
#include "sign_gradient.h"

// What golden/kernels.py calls.

extern "C" void adder_forward(const Shape* shape, const float* input, const float* weight,
                              float* output, int threads) {
  const ForwardFilters filters(*shape, weight);
  const Index row_bytes = sizeof(Vector) * (shape->group_filters() * shape->map_cols +
                                            shape->group_channels() * shape->stride_rows *
                                                (shape->width + 2 * shape->padding_cols));
  const auto items = share_out(*shape, shape->map_rows, row_bytes, threads);
#pragma omp parallel for schedule(dynamic) num_threads(threads)
  for (std::size_t i = 0; i < items.size(); ++i)
    forward_item(*shape, items[i], input, filters, output);
}

extern "C" void adder_input_gradient(const Shape* shape, const float* input, const float* weight,
                                     const float* upstream, float* grad_input, int sign,
                                     int threads) {
  const auto weights = gradient_filters(*shape, weight);
  const auto row_looks = looks(shape->height, shape->map_rows, shape->kernel_rows,
                               shape->stride_rows, shape->padding_rows, shape->dilation_rows);
  const auto col_looks = looks(shape->width, shape->map_cols, shape->kernel_cols,
                               shape->stride_cols, shape->padding_cols, shape->dilation_cols);
  const Index row_bytes =
      sizeof(Vector) * (2 * shape->group_channels() * shape->width +
                        shape->group_filters() * shape->map_cols / shape->stride_rows);
  const auto items = share_out(*shape, shape->height, row_bytes, threads);
  const auto item = sign ? gradient_item<Sign> : gradient_item<Clipped>;
#pragma omp parallel for schedule(dynamic) num_threads(threads)
  for (std::size_t i = 0; i < items.size(); ++i)
    item(*shape, items[i], row_looks, col_looks, input, weights, upstream, grad_input);
}

extern "C" void adder_sign_gradient(const Shape* shape, const float* input, const float* weight,
                                    const float* upstream, float* grad_weight, int threads) {
  const SignTiles tiles(*shape);
  const auto weights = sign_filters(*shape, tiles, weight);
  std::vector<Vector> sums(weights.size() / LANES);
  const Index row_bytes =
      sizeof(Vector) * (shape->channels * shape->stride_rows *
                            (shape->width + 2 * shape->padding_cols) +
                        shape->groups * tiles.filters * SIGN_FILTERS * shape->map_cols);
  // As many output rows as fit a strip; of small maps, several blocks of images.
  const Index height = std::clamp<Index>(STRIP / row_bytes, 1, shape->map_rows);
  const Index images = LANES * std::max<Index>(1, STRIP / (row_bytes * shape->map_rows));
  for (Index image = 0; image < shape->images; image += images)
    for (Index row = 0; row < shape->map_rows; row += height)
      sign_strip(*shape, tiles,
                 {image, std::min(images, shape->images - image), 0, row,
                  std::min(height, shape->map_rows - row)},
                 input, weights, upstream, sums, threads);
  tiles.for_weights(*shape, [&](Index to, Index from) {
    grad_weight[to] = sums[from / LANES][from % LANES] / SIGN_UNIT;
  });
}
