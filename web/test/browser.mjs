// Opens pages in headless Chromium on SwiftShader, uses them as a visitor does, and takes screenshots.
// usage: node browser.mjs FOLDER DIGITS_PAGE TRAINING_PAGE TABLE_PAGE
//   DIGITS_PAGE knows digits; TRAINING_PAGE trains a recipe of few steps, since SwiftShader takes a second for one
import { existsSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import puppeteer from 'puppeteer-core';

const [folder, digits, training, table] = process.argv.slice(2);
const executablePath = ['/usr/bin/chromium', '/usr/bin/chromium-browser', '/usr/bin/google-chrome'].find(existsSync);
if (!executablePath) throw new Error('there is no Chromium: install it (Debian: apt-get install chromium)');
const browser = await puppeteer.launch({
    executablePath, headless: true, protocolTimeout: 600_000,
    args: ['--no-sandbox', '--enable-unsafe-webgpu', '--enable-features=Vulkan', '--use-webgpu-adapter=swiftshader', '--use-vulkan=swiftshader',
        '--use-angle=swiftshader', '--disable-dev-shm-usage'],
});
const problems = [];
const expect = (is, what) => { if (!is) problems.push(what); };

/// A page that is ready, without WebGPU if asked for. All that it fetches or complains of is a problem.
async function open(file, { gpu = true, scheme = 'light' } = {}) {
    const page = await browser.newPage();
    const address = pathToFileURL(resolve(file)).href;
    page.on('request', request => expect([address, 'data:,'].includes(request.url()), `${file} asks for ${request.url()}`));
    page.on('console', message => expect(message.type() !== 'error', `${file}: ${message.text()}`));
    page.on('pageerror', error => problems.push(`${file}: ${error.message}`));
    await page.emulateMediaFeatures([{ name: 'prefers-color-scheme', value: scheme }]);
    if (!gpu) await page.evaluateOnNewDocument(() => { delete Navigator.prototype.gpu; });
    await page.setViewport({ width: 1000, height: 900 });
    await page.goto(address);
    await page.waitForFunction(() => document.documentElement.dataset.ready || document.querySelector('#device.error'), { timeout: 120_000 });
    const ready = await page.evaluate(() => document.documentElement.dataset.ready);
    expect(ready === (gpu ? 'webgpu' : 'javascript'), `${file}: ${await text(page, '#device')}`);
    await page.waitForFunction(() => document.querySelector('#best').textContent !== '', { timeout: 60_000 });
    return page;
}

const text = (page, selector) => page.$eval(selector, found => found.textContent);
const settle = page => page.evaluate(() => new Promise(done => setTimeout(done, 700)));

async function shoot(page, name) {
    for (const width of [360, 768, 1280]) {
        await page.setViewport({ width, height: 800 });
        await settle(page);
        const overflow = await page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth);
        expect(overflow <= 0, `${name} at ${width}: ${overflow} pixels too wide`);
        await page.screenshot({ path: join(folder, `${name}-${width}.png`), fullPage: true });
    }
    await page.setViewport({ width: 1000, height: 900 });
}

/// Draws a 7 by mouse.
async function draw(page) {
    const box = await (await page.$('#pad')).boundingBox();
    const at = (x, y) => [box.x + box.width * x, box.y + box.height * y];
    await page.mouse.move(...at(0.25, 0.25));
    await page.mouse.down();
    await page.mouse.move(...at(0.75, 0.25), { steps: 8 });
    await page.mouse.move(...at(0.45, 0.85), { steps: 8 });
    await page.mouse.up();
    await settle(page);
}

let page = await open(digits);
const empty = await text(page, '#best');
await draw(page);
const drawn = await text(page, '#best');
expect(drawn.startsWith('7'), `a drawn 7 is taken for ${drawn}`);
await shoot(page, 'digits');
await page.click('#clear');
await settle(page);
expect(await text(page, '#best') === empty, 'clearing does not clear');
await page.focus('#pad');
for (const key of [' ', ...Array(14).fill('ArrowDown'), ' ']) await page.keyboard.press(key);
await settle(page);
expect(await text(page, '#best') !== empty, 'the keyboard does not draw');
await page.close();

page = await open(digits, { gpu: false, scheme: 'dark' });
await draw(page);
expect(await text(page, '#best') === drawn, `plain JavaScript says ${await text(page, '#best')}, not ${drawn}`);
await shoot(page, 'digits-javascript-dark');
await page.close();

page = await open(training);
await draw(page);
const exported = await text(page, '#best');
await shoot(page, 'training-before');
const begun = Date.now();
await page.click('#train');
await page.waitForFunction(() => /Step \d\d/.test(document.querySelector('#said').textContent), { timeout: 300_000 });
await page.screenshot({ path: join(folder, 'training.png'), fullPage: true });
await page.waitForFunction(() => /Trained|failed/.test(document.querySelector('#said').textContent), { timeout: 500_000 });
console.log(`${training}: ${await text(page, '#said')} (${((Date.now() - begun) / 1000).toFixed(1)} s with the page)`);
expect((await text(page, '#said')).startsWith('Trained'), await text(page, '#said'));
expect(await text(page, '#best') === exported, `the same training ends in ${await text(page, '#best')}, not ${exported}`);
await page.click('#training summary');
await shoot(page, 'training-after');
// A run that is stopped.
await page.click('#train');
await page.waitForFunction(() => /Step \d/.test(document.querySelector('#said').textContent), { timeout: 300_000 });
await page.click('#stop');
await page.waitForFunction(() => /Stopped/.test(document.querySelector('#said').textContent), { timeout: 60_000 });
await settle(page);
expect(await text(page, '#best') !== exported, 'the answers do not follow the training');
await page.click('#back');
await settle(page);
expect(await text(page, '#best') === exported, `the exported weights say ${exported}, and again ${await text(page, '#best')}`);
await page.close();

page = await open(training, { gpu: false });
expect(await page.$eval('#train', button => button.disabled), 'training is offered without WebGPU');
await page.close();

page = await open(table);
await page.type('.fields input', '1');
await shoot(page, 'table');
console.log(`table: ${await text(page, '#best')}`);
await page.close();

await browser.close();
problems.forEach(problem => console.error(`error: ${problem}`));
process.exit(problems.length > 0 ? 1 : 0);
