// What the pages are asked, for the page and for `gputrain predict` alike. usage: node examples.mjs FOLDER
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { crc32, deflateSync } from 'node:zlib';

const folder = process.argv[2];
const write = (file, content) => writeFileSync(join(folder, file), content);
const lines = rows => rows.map(row => row.join()).join('\n') + '\n';
let state = 1;
/// From 0 to 1, the same in every run.
const random = () => (state = state * 48271 % 2147483647) / 2147483647;

// Vectors of bytes, as the digits are.
const digits = Array.from({ length: 5 }, () => Array.from({ length: 784 }, () => Math.floor(256 * random() ** 3)));
write('digits.json', JSON.stringify(digits));
write('digits.csv', lines(digits));

// A picture in colour, partly transparent, of another shape than any network's.
const [width, height] = [83, 61];
const rgba = Buffer.alloc(width * height * 4);
for (let at = 0; at < width * height; at++) {
    const [x, y] = [at % width, Math.floor(at / width)];
    rgba.set([x * 3, (y * 4) % 256, 127 + 100 * Math.sin(x / 5 + y / 7), x > 60 ? 128 : 255].map(Math.floor), at * 4);
}
const chunk = (type, data) => {
    const body = Buffer.concat([Buffer.from(type, 'latin1'), data]);
    const [length, sum] = [Buffer.alloc(4), Buffer.alloc(4)];
    length.writeUInt32BE(data.length);
    sum.writeUInt32BE(crc32(body));
    return Buffer.concat([length, body, sum]);
};
const head = Buffer.alloc(13);
head.writeUInt32BE(width, 0);
head.writeUInt32BE(height, 4);
head.set([8, 6, 0, 0, 0], 8);
const scanlines = Array.from({ length: height }, (_, y) => Buffer.concat([Buffer.from([0]), rgba.subarray(y * width * 4, (y + 1) * width * 4)]));
write('picture.png', Buffer.concat([Buffer.from('\x89PNG\r\n\x1a\n', 'latin1'), chunk('IHDR', head), chunk('IDAT', deflateSync(Buffer.concat(scanlines))), chunk('IEND', Buffer.alloc(0))]));
write('picture.json', JSON.stringify([{ rgba: rgba.toString('base64'), width, height }]));

// A table with gaps.
const districts = ['north', 'south', 'old town <&">'];
const rows = Array.from({ length: 120 }, (_, at) => {
    const [rooms, area, district] = [1 + Math.floor(5 * random()), 30 + 120 * random(), Math.floor(3 * random())];
    const price = 40000 * rooms + 900 * area + 30000 * district;
    return [at % 7 === 0 ? '' : rooms + 0.5, area.toFixed(2), at % 11 === 0 ? '' : districts[district], Math.round(price)];
});
const quoted = cell => (/[",]/.test(cell) ? `"${String(cell).replaceAll('"', '""')}"` : cell);
const csv = (names, cells) => lines([names, ...cells.map(row => row.map(quoted))]);
write('table.csv', csv(['rooms', 'area', 'district', 'price'], rows));
const questions = [...rows.slice(0, 12).map(row => row.slice(0, 3)), [3.25, 77, 'somewhere else']];
write('questions.json', JSON.stringify(questions));
write('questions.csv', csv(['rooms', 'area', 'district'], questions));

// Sentences of as many words as a small picture has pixels, each word by its number; the word 0 or 1 in one of them is its kind.
const sentences = Array.from({ length: 90 }, () => {
    const words = Array.from({ length: 64 }, () => 2 + Math.floor(28 * random()));
    const kind = Math.floor(2 * random());
    words[Math.floor(64 * random())] = kind;
    return [...words, kind];
});
const asked = sentences.slice(0, 6).map(row => row.slice(0, 64));
write('sentences.csv', lines(sentences));
write('words.csv', lines(asked));
write('words.json', JSON.stringify(asked));
