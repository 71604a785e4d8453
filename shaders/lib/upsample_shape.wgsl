// Shape of an upsampling. Planes are the channels of all images of the batch; each pixel becomes a window of factor_height by
// factor_width.
struct Params {
    planes: u32,
    height: u32,
    width: u32,
    factor_height: u32,
    factor_width: u32,
}
