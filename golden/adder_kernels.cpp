// The adder layer on the CPU, in float: Y = -Σ|x - f| (Eq. 2), the input's gradient Σ g HT(f - x)
// (Eq. 6, 7) and the filters' sign gradient Σ g sgn(x - f) (Eq. 4).
//
// One vector holds the same pixel of LANES images. So every kernel size, stride and dilation
// reads whole vectors, nothing is unfolded, and a filter's weight is one scalar for all lanes.
// Maps in memory are (images, channels, height, width); a strip of rows of LANES images is
// transposed into such vectors ("packed"), worked on while it is in the cache, and transposed
// back. Strips are independent of each other: threads share them out, and sums do not depend on
// the number of threads.

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <utility>
#include <vector>

#if defined(__AVX__)
#include <immintrin.h>
#endif

using Index = std::int64_t;

// Sizes of a layer. golden/kernels.py holds its twin: same names, same order.
struct Shape {
  Index images, channels, height, width;
  Index filters, kernel_rows, kernel_cols;
  Index stride_rows, stride_cols, padding_rows, padding_cols, dilation_rows, dilation_cols;
  Index groups, map_rows, map_cols;

  Index group_channels() const { return channels / groups; }
  Index group_filters() const { return filters / groups; }
  Index taps() const { return kernel_rows * kernel_cols; }
  Index group_terms() const { return group_channels() * taps(); }
  Index span_rows() const { return (kernel_rows - 1) * dilation_rows + 1; }
};

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

// -SIGN_UNIT, 0 or SIGN_UNIT as `a` is below, at or above 0; `a` is a difference, see sign_filters.
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

// ---------------------------------------------------------------- packing

inline void transpose(Vector (&tile)[LANES]) {
  Indices low, high;  // a0 b0 a1 b1 … from the lower halves of a and b, and from the upper
  for (int lane = 0; lane < LANES; ++lane) {
    low[lane] = lane / 2 + lane % 2 * LANES;
    high[lane] = low[lane] + LANES / 2;
  }
  for (int step = 1; step < LANES; step *= 2) {
    Vector mixed[LANES];
    for (int i = 0; i < LANES / 2; ++i) {
      mixed[2 * i] = __builtin_shuffle(tile[i], tile[i + LANES / 2], low);
      mixed[2 * i + 1] = __builtin_shuffle(tile[i], tile[i + LANES / 2], high);
    }
    std::copy(mixed, mixed + LANES, tile);
  }
}

// Some rows of some channels of at most LANES images; `data` is the first image's first row.
template <typename Float>
struct Rows {
  Float* data;
  Index images, image_step, channels, channel_step, rows, cols;
};

// Where the packed vectors of a Rows go: distances between neighbors, in vectors.
struct Layout {
  Index channel, row, col;
};

// Walks over packed vectors in the order of memory outside: channel, row, column.
class Walk {
 public:
  Walk(Vector* start, Layout layout, Index rows, Index cols)
      : layout(layout), rows(rows), cols(cols), channel_at(start), row_at(start), at(start) {}

  Vector& next() {
    Vector& here = *at;
    at += layout.col;
    if (++col == cols) {
      col = 0;
      row_at += layout.row;
      if (++row == rows) {
        row = 0;
        row_at = channel_at += layout.channel;
      }
      at = row_at;
    }
    return here;
  }

 private:
  Layout layout;
  Index rows, cols, row = 0, col = 0;
  Vector *channel_at, *row_at, *at;
};

// Calls move(offset, count) for each stretch of at most LANES pixels that are neighbors in memory.
template <typename Float, typename Move>
void for_stretches(const Rows<Float>& part, Move move) {
  Index length = part.rows * part.cols, stretches = part.channels;
  if (length == part.channel_step) {  // whole channels follow each other without a gap
    length *= stretches;
    stretches = 1;
  }
  for (Index stretch = 0; stretch < stretches; ++stretch)
    for (Index start = 0; start < length; start += LANES)
      move(stretch * part.channel_step + start, std::min<Index>(LANES, length - start));
}

void pack(const Rows<const float>& from, Vector* to, Layout layout) {
  Walk walk(to, layout, from.rows, from.cols);
  for_stretches(from, [&](Index offset, Index count) {
    Vector tile[LANES] = {};
    for (Index image = 0; image < from.images; ++image) {
      const float* pixels = from.data + image * from.image_step + offset;
      if (count == LANES)
        std::memcpy(&tile[image], pixels, sizeof(Vector));
      else
        std::memcpy(&tile[image], pixels, count * sizeof(float));
    }
    transpose(tile);
    for (Index pixel = 0; pixel < count; ++pixel) walk.next() = tile[pixel];
  });
}

void unpack(Vector* from, Layout layout, const Rows<float>& to) {
  Walk walk(from, layout, to.rows, to.cols);
  for_stretches(to, [&](Index offset, Index count) {
    Vector tile[LANES] = {};
    for (Index pixel = 0; pixel < count; ++pixel) tile[pixel] = walk.next();
    transpose(tile);
    for (Index image = 0; image < to.images; ++image) {
      float* pixels = to.data + image * to.image_step + offset;
      if (count == LANES)
        std::memcpy(pixels, &tile[image], sizeof(Vector));
      else
        std::memcpy(pixels, &tile[image], count * sizeof(float));
    }
  });
}

// ---------------------------------------------------------------- sharing out

// LANES images, one group of channels, some rows.
struct Item {
  Index first_image, images, group, first_row, rows;
};

// Items for all images, groups and `rows` rows; a row takes about `row_bytes` when packed. Few
// images on many threads make for smaller strips.
std::vector<Item> share_out(const Shape& shape, Index rows, Index row_bytes, Index threads) {
  const Index blocks = (shape.images + LANES - 1) / LANES * shape.groups;
  const Index wanted_strips = (2 * threads + blocks - 1) / std::max<Index>(blocks, 1);
  const Index fitting_rows = std::max<Index>(1, STRIP / row_bytes);
  const Index height = std::clamp<Index>(rows / std::max<Index>(wanted_strips, 1), 1, fitting_rows);
  std::vector<Item> items;
  for (Index image = 0; image < shape.images; image += LANES)
    for (Index group = 0; group < shape.groups; ++group)
      for (Index row = 0; row < rows; row += height)
        items.push_back({image, std::min<Index>(LANES, shape.images - image), group, row,
                         std::min(height, rows - row)});
  return items;
}

// The item's images and group of a map of `channels` channels, and rows first … first + rows - 1.
template <typename Float>
Rows<Float> rows_of(const Item& item, Float* map, Index channels, Index groups, Index height,
                    Index width, Index first, Index rows) {
  const Index area = height * width, group_channels = channels / groups;
  Float* data = map + (item.first_image * channels + item.group * group_channels) * area;
  return {data + first * width, item.images, channels * area, group_channels, area, rows, width};
}

// Blocks of at most TILE of `count` filters or channels: use(first, size).
template <typename Use>
void for_blocks(Index count, Use use) {
  for (Index first = 0; first < count; first += TILE) use(first, std::min<Index>(TILE, count - first));
}

// ---------------------------------------------------------------- Y = -Σ|x - f|

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

// The part of the padded input that the item's output rows look at.
struct Padded {
  Index rows, cols, top;   // sizes; the first row's place in the input, negative in the padding
  Index first, last;       // rows top … that lie in the input: first … last - 1

  Padded(const Shape& shape, const Item& item)
      : rows((item.rows - 1) * shape.stride_rows + shape.span_rows()),
        cols(shape.width + 2 * shape.padding_cols),
        top(item.first_row * shape.stride_rows - shape.padding_rows),
        first(std::max<Index>(top, 0)),
        last(std::min(top + rows, shape.height)) {}

  // strip: of zeros, as (channel, row, column); channels first_channel … of the item's group.
  void pack_into(Vector* strip, const Shape& shape, const Item& item, const float* input,
                 Index first_channel, Index channels) const {
    if (first >= last) return;
    auto part = rows_of(item, input, shape.channels, shape.groups, shape.height, shape.width, first,
                        last - first);
    part.data += first_channel * part.channel_step;
    part.channels = channels;
    pack(part, strip + (first_channel * rows + first - top) * cols + shape.padding_cols,
         {rows * cols, cols, 1});
  }

  // Distance of each term's pixel from the window's first.
  std::vector<Index> offsets(const Shape& shape) const {
    std::vector<Index> result;
    for (Index channel = 0; channel < shape.group_channels(); ++channel)
      for (Index row = 0; row < shape.kernel_rows; ++row)
        for (Index col = 0; col < shape.kernel_cols; ++col)
          result.push_back((channel * rows + row * shape.dilation_rows) * cols +
                           col * shape.dilation_cols);
    return result;
  }
};

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

// ---------------------------------------------------------------- Σ g HT(f - x)

// Weights in the order in which gradient_tile reads them:
// (group, block of channels, tap, filter, channel).
std::vector<float> gradient_filters(const Shape& shape, const float* weight) {
  std::vector<float> weights(shape.filters * shape.group_terms());
  float* to = weights.data();
  for (Index group = 0; group < shape.groups; ++group)
    for_blocks(shape.group_channels(), [&](Index first, Index size) {
      for (Index tap = 0; tap < shape.taps(); ++tap)
        for (Index filter = 0; filter < shape.group_filters(); ++filter) {
          const float* from = weight + tap + first * shape.taps() +
                              (group * shape.group_filters() + filter) * shape.group_terms();
          for (Index channel = 0; channel < size; ++channel) *to++ = from[channel * shape.taps()];
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

// Gradient of CHANNELS channels of one input pixel.
// upstream: packed as (row, column, filter), from row `first_out` on.
template <int CHANNELS>
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
          sum[channel] -= g[filter] * clipped(x[channel] - all(f[channel]));
    }
  for (int channel = 0; channel < CHANNELS; ++channel) result[channel * channel_step] = sum[channel];
}

using GradientTile = decltype(&gradient_tile<1>);

template <std::size_t... I>
GradientTile gradient_tile_for(Index channels, std::index_sequence<I...>) {
  static constexpr GradientTile TILES[] = {gradient_tile<I + 1>...};
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
    const GradientTile tile = gradient_tile_for(size, std::make_index_sequence<TILE>());
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

// ---------------------------------------------------------------- Σ g sgn(x - f)

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

// Weights in the order of the tiles. Zeros become -0: ±0 - -0 is 0, but -0 - 0 is -0, which has a
// sign.
std::vector<float> sign_filters(const Shape& shape, const SignTiles& tiles, const float* weight) {
  std::vector<float> result(shape.groups * tiles.filters * tiles.terms * LANES);
  tiles.for_weights(shape, [&](Index from, Index to) {
    result[to] = weight[from] == 0 ? -0.0f : weight[from];
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

// ---------------------------------------------------------------- what golden/kernels.py calls

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
                                     const float* upstream, float* grad_input, int threads) {
  const auto weights = gradient_filters(*shape, weight);
  const auto row_looks = looks(shape->height, shape->map_rows, shape->kernel_rows,
                               shape->stride_rows, shape->padding_rows, shape->dilation_rows);
  const auto col_looks = looks(shape->width, shape->map_cols, shape->kernel_cols,
                               shape->stride_cols, shape->padding_cols, shape->dilation_cols);
  const Index row_bytes =
      sizeof(Vector) * (2 * shape->group_channels() * shape->width +
                        shape->group_filters() * shape->map_cols / shape->stride_rows);
  const auto items = share_out(*shape, shape->height, row_bytes, threads);
#pragma omp parallel for schedule(dynamic) num_threads(threads)
  for (std::size_t i = 0; i < items.size(); ++i)
    gradient_item(*shape, items[i], row_looks, col_looks, input, weights, upstream, grad_input);
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
