// Pictures brought to the shape that a network takes: what src/data/pictures/fit.rs does, number by number.

import type { PictureInput, Place } from './page_data';

/// Pixels row after row, so many values each.
export interface Pixels {
    width: number;
    height: number;
    channels: number;
    values: Uint8Array;
}

interface Side { whole: number; start: number; length: number; fitted: number }
interface Taps { first: number; weights: Float32Array }

/// Red, green and blue over white, of red, green, blue and opacity; one channel where the network takes one.
export function opaque(rgba: Uint8ClampedArray | Uint8Array, width: number, height: number, isGrey: boolean): Pixels {
    const channels = isGrey ? 1 : 3;
    const values = new Uint8Array(width * height * channels);
    for (let at = 0; at < width * height; at++) {
        const alpha = rgba[at * 4 + 3];
        const over = (channel: number) => Math.floor((rgba[at * 4 + channel] * alpha + 255 * (255 - alpha) + 127) / 255);
        const [red, green, blue] = [over(0), over(1), over(2)];
        if (isGrey) values[at] = Math.floor((299 * red + 587 * green + 114 * blue + 500) / 1000);
        else values.set([red, green, blue], at * 3);
    }
    return { width, height, channels, values };
}

function sides(width: number, height: number, { fit, width: w, height: h }: PictureInput): [Side, Side] {
    const whole = (side: number, fitted: number): Side => ({ whole: side, start: 0, length: side, fitted });
    const middle = (side: number, length: number, fitted: number): Side => ({ whole: side, start: (side - length) / 2, length, fitted });
    const isWide = width * h > height * w;
    const clamp = (value: number, most: number) => Math.min(Math.max(Math.round(value), 1), most);
    if (fit === 'crop') {
        return isWide ? [middle(width, height * w / h, w), whole(height, h)] : [whole(width, w), middle(height, width * h / w, h)];
    }
    if (fit === 'pad') {
        return isWide ? [whole(width, w), whole(height, clamp(height / width * w, h))]
            : [whole(width, clamp(width / height * h, w)), whole(height, h)];
    }
    return [whole(width, w), whole(height, h)];
}

/// The pixels that each pixel of a fitted side is made of: a triangle, as Pillow's BILINEAR.
function taps({ whole, start, length, fitted }: Side): Taps[] {
    const step = length / fitted;
    const reach = Math.max(step, 1);
    return Array.from({ length: fitted }, (_, index) => {
        const center = start + (index + 0.5) * step;
        const first = Math.floor(Math.max(center - reach + 0.5, 0));
        const end = Math.max(Math.min(Math.floor(center + reach + 0.5), whole), first + 1);
        const weights = Array.from({ length: end - first }, (_, at) => Math.max(1 - Math.abs((first + at + 0.5 - center) / reach), 0));
        const sum = weights.reduce((a, b) => a + b, 0);
        return { first, weights: Float32Array.from(weights, weight => weight / sum) };
    });
}

function resized({ values, channels }: Pixels, across: Side, down: Side): Uint8Array {
    const [columns, rows] = [taps(across), taps(down)];
    const length = across.fitted * channels;
    const stride = across.whole * channels;
    const lines = Array.from({ length: down.whole }, (_, y) => {
        const line = new Float32Array(length);
        columns.forEach(({ first, weights }, x) => {
            for (let channel = 0; channel < channels; channel++) {
                let sum = 0;
                weights.forEach((weight, at) => { sum = Math.fround(sum + Math.fround(weight * values[y * stride + (first + at) * channels + channel])); });
                line[x * channels + channel] = sum;
            }
        });
        return line;
    });
    const result = new Uint8Array(down.fitted * length);
    rows.forEach(({ first, weights }, y) => {
        for (let at = 0; at < length; at++) {
            let sum = 0;
            weights.forEach((weight, row) => { sum = Math.fround(sum + Math.fround(weight * lines[first + row][at])); });
            result[y * length + at] = Math.floor(sum + 0.5);
        }
    });
    return result;
}

/// The picture in the network's shape as bytes, channel after channel.
export function fitted(picture: Pixels, input: PictureInput): Uint8Array {
    const [across, down] = sides(picture.width, picture.height, input);
    const values = resized(picture, across, down);
    const [left, top] = [(input.width - across.fitted) >> 1, (input.height - down.fitted) >> 1];
    const placed = new Uint8Array(input.channels * input.height * input.width);
    for (let channel = 0; channel < input.channels; channel++) {
        const from = Math.min(channel, picture.channels - 1);
        for (let y = 0; y < down.fitted; y++) {
            for (let x = 0; x < across.fitted; x++) {
                placed[(channel * input.height + top + y) * input.width + left + x] = values[(y * across.fitted + x) * picture.channels + from];
            }
        }
    }
    return placed;
}

/// A drawing in white on black in its place: as the digits of MNIST it is 20 of 28 pixels large, its centre of mass in the middle.
export function placed(drawing: Pixels, input: PictureInput, place: Place): Uint8Array {
    if (place === 'drawn') return fitted(drawing, input);
    const { width, height, values } = drawing;
    let [left, right, top, bottom] = [width, -1, height, -1];
    values.forEach((value, at) => {
        if (value < 32) return;
        [left, right] = [Math.min(left, at % width), Math.max(right, at % width)];
        [top, bottom] = [Math.min(top, Math.floor(at / width)), Math.max(bottom, Math.floor(at / width))];
    });
    const result = new Uint8Array(input.width * input.height);
    if (right < 0) return result;
    const [w, h] = [right - left + 1, bottom - top + 1];
    const scale = Math.min(input.width * 20 / 28 / w, input.height * 20 / 28 / h);
    const box = { ...input, fit: 'stretch' as const, channels: 1, width: Math.max(1, Math.round(w * scale)), height: Math.max(1, Math.round(h * scale)) };
    const cut = new Uint8Array(w * h);
    for (let y = 0; y < h; y++) cut.set(values.subarray((top + y) * width + left, (top + y) * width + right + 1), y * w);
    const small = fitted({ width: w, height: h, channels: 1, values: cut }, box);
    let [mass, sumX, sumY] = [0, 0, 0];
    small.forEach((pixel, at) => {
        const value = place === 'mass' ? pixel : 1;
        mass += value;
        sumX += value * (at % box.width + 0.5);
        sumY += value * (Math.floor(at / box.width) + 0.5);
    });
    const start = (whole: number, part: number, middle: number) => Math.min(Math.max(Math.round(whole / 2 - middle), 0), whole - part);
    const [x0, y0] = [start(input.width, box.width, sumX / mass), start(input.height, box.height, sumY / mass)];
    small.forEach((value, at) => { result[(y0 + Math.floor(at / box.width)) * input.width + x0 + at % box.width] = value; });
    return result;
}

/// Bytes as the values of the data: black to white.
export function valuesOf(bytes: Uint8Array, { black, white }: PictureInput): Float32Array {
    return Float32Array.from(bytes, byte => black + byte / 255 * (white - black));
}

/// Values of the data as bytes: black to white.
export function bytesOf(values: Float32Array, { black, white }: PictureInput): Uint8ClampedArray {
    return Uint8ClampedArray.from(values, value => (value - black) / (white - black) * 255);
}
