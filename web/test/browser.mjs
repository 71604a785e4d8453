// Opens pages in headless Chromium on SwiftShader, uses them as a visitor does, and takes screenshots.
// usage: node browser.mjs FOLDER DIGITS_PAGE DIGITS_REPORT TRAINING_PAGE TABLE_PAGE TABLE_REPORT PICTURES_REPORT
//   DIGITS_PAGE knows digits; TRAINING_PAGE trains a recipe of few steps, since SwiftShader takes a second for one; the reports
//   are report.html of runs, PICTURES_REPORT that of one that makes pictures of pictures
import { existsSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import puppeteer from 'puppeteer-core';

const [folder, digits, digitsReport, training, table, tableReport, picturesReport] = process.argv.slice(2);
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
    page.on('request', request => expect(request.url() === address || request.url().startsWith('data:'), `${file} asks for ${request.url()}`));
    page.on('console', message => expect(message.type() !== 'error', `${file}: ${message.text()}`));
    page.on('pageerror', error => problems.push(`${file}: ${error.message}`));
    await page.emulateMediaFeatures([{ name: 'prefers-color-scheme', value: scheme }]);
    if (!gpu) await page.evaluateOnNewDocument(() => { delete Navigator.prototype.gpu; });
    await page.setViewport({ width: 1000, height: 900 });
    await page.goto(address);
    await page.$eval('#device', found => found.scrollIntoView());
    await page.waitForFunction(() => document.documentElement.dataset.ready || document.querySelector('#device.error'), { timeout: 120_000 });
    const ready = await page.evaluate(() => document.documentElement.dataset.ready);
    expect(ready === (gpu ? 'webgpu' : 'javascript'), `${file}: ${await text(page, '#device')}`);
    return page;
}

/// Everything that a visitor handles or looks at must have a name for a screen reader.
async function expectNames(page, file) {
    const nameless = [];
    const visit = ({ role, name, children = [] }) => {
        if (['button', 'combobox', 'textbox', 'application', 'img', 'image', 'canvas', 'progressbar', 'heading'].includes(role.toLowerCase()) && !name) nameless.push(role);
        children.forEach(visit);
    };
    visit(await page.accessibility.snapshot({ interestingOnly: false }));
    expect(nameless.length === 0, `${file}: without a name for screen readers: ${nameless.join(', ')}`);
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
    await page.$eval('#pad', pad => pad.scrollIntoView({ block: 'center' }));
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
expect(await text(page, '#best') === '', 'there is an answer to nothing');
await draw(page);
const drawn = await text(page, '#best');
expect(drawn.startsWith('7'), `a drawn 7 is taken for ${drawn}`);
await expectNames(page, digits);
await shoot(page, 'digits');
await page.click('#clear');
await settle(page);
expect(await text(page, '#best') === '', 'clearing does not clear');
await page.focus('#pad');
for (const key of [' ', ...Array(14).fill('ArrowDown'), ' ']) await page.keyboard.press(key);
await settle(page);
expect(await text(page, '#best') !== '', 'the keyboard does not draw');
await page.close();

// The same panel in the report of the run.
for (const [gpu, scheme] of [[true, 'light'], [false, 'dark']]) {
    page = await open(digitsReport, { gpu, scheme });
    await draw(page);
    expect(await text(page, '#best') === drawn, `the report says ${await text(page, '#best')}, not ${drawn}`);
    await expectNames(page, digitsReport);
    await shoot(page, `report-digits-${scheme}`);
    await page.close();
}

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
await page.waitForFunction(() => /Step [2-9]/.test(document.querySelector('#said').textContent), { timeout: 300_000 });
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

const prices = [];
for (const [name, file] of Object.entries({ table, 'report-table': tableReport })) {
    page = await open(file);
    // By keyboard alone: into the first field, and another value.
    await page.focus('.fields input');
    for (const key of ['End', '1', 'Tab', 'Home', '2']) await page.keyboard.press(key);
    await settle(page);
    prices.push(await text(page, '#best'));
    await expectNames(page, file);
    await shoot(page, name);
    await page.close();
}
expect(prices[0].startsWith('price: ') && prices[0] === prices[1], `page and report answer otherwise: ${prices.join(' and ')}`);

page = await open(picturesReport, { scheme: 'dark' });
await draw(page);
const bright = await page.$eval('#made', made => Math.max(...made.getContext('2d').getImageData(0, 0, made.width, made.height).data.filter((_, at) => at % 4 < 3)));
expect(bright > 64, `what is made of a picture is dark: ${bright}`);
await expectNames(page, picturesReport);
await shoot(page, 'report-pictures-dark');
await page.close();

await browser.close();
problems.forEach(problem => console.error(`error: ${problem}`));
process.exit(problems.length > 0 ? 1 : 0);
