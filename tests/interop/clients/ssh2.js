// SPDX-License-Identifier: Apache-2.0
//
// One thing that SSH can do, done with npm's ssh2 (NODE_PATH says where that is). It knows no certificates.
'use strict';
const fs = require('fs');
const { Client } = require('ssh2');

const { HOST, PORT, LOGIN, KEY, FREE_PORT, SSH_AUTH_SOCK } = process.env;
const [verb, ...args] = process.argv.slice(2);
const page = 'HTTP/1.0 200 OK\r\n\r\nfrom the client\n';

function fail(error) {
	fs.writeSync(2, `${error}\n`);
	process.exit(1);
}
// finish(f): a callback that fails on an error and gives f the rest.
const finish = (f) => (error, ...rest) => (error ? fail(error) : f(...rest));

function connect(options, ready) {
	const client = new Client();
	client.on('ready', () => ready(client));
	client.on('error', fail);
	client.connect({
		host: HOST, port: Number(PORT), username: LOGIN, privateKey: fs.readFileSync(KEY), readyTimeout: 15000, ...options,
	});
}

// What a stream says goes out; its end is this program's.
function follow(stream, withInput) {
	let status = 255;
	stream.on('data', (data) => process.stdout.write(data) || (stream.pause(), process.stdout.once('drain', () => stream.resume())));
	stream.stderr.on('data', (data) => process.stderr.write(data));
	stream.on('exit', (code, signal, core, message) => {
		status = code === null ? 255 : code;
		if (signal) process.stderr.write(`signal ${signal} core=${core} message=${message}\n`);
	});
	stream.on('close', () => process.stdout.write('', () => process.exit(status)));
	if (withInput) process.stdin.pipe(stream);
}

const run = (command, options = {}, execOptions = {}, withInput = true) =>
	connect(options, (client) => client.exec(command, execOptions, finish((stream) => follow(stream, withInput))));
const size = (text) => text.split('x').map(Number);
const terminal = (text) => ({ pty: { term: 'xterm-256color', cols: size(text)[0], rows: size(text)[1] } });

function resize(first, second, command) {
	connect({}, (client) => client.exec(command, terminal(first), finish((stream) => {
		let said = '', done = false;
		stream.on('data', (data) => {
			said += data;
			if (done || !said.includes('first')) return;
			done = true;
			const [columns, rows] = size(second);
			stream.setWindow(rows, columns, 0, 0);
			stream.write('\r');
		});
		follow(stream, false);
	})));
}

function signal(name, command) {
	connect({}, (client) => client.exec(command, finish((stream) => {
		stream.once('data', () => stream.signal(name));
		follow(stream, false);
	})));
}

function many(count) {
	connect({}, (client) => {
		let left = Number(count);
		for (let i = 1; i <= count; i++) {
			client.exec(`sleep 0.3; echo channel ${i}`, finish((stream) => {
				stream.on('data', (data) => process.stdout.write(data));
				stream.on('close', () => --left || process.exit(0));
			}));
		}
	});
}

const sftp = (f) => connect({}, (client) => client.sftp(finish((transfer) => f(transfer, finish(() => process.exit(0))))));
function tree(local, folder) {
	sftp(async (transfer, done) => {
		const doing = (what, ...args) => new Promise((good) => transfer[what](...args, finish(good)));
		await doing('mkdir', folder);
		await doing('fastPut', local, `${folder}/a`);
		await doing('rename', `${folder}/a`, `${folder}/b`);
		await doing('chmod', `${folder}/b`, 0o600);
		for (const entry of await doing('readdir', folder)) console.log(`${folder}/${entry.filename}`);
		await doing('symlink', 'b', `${folder}/c`);
		await doing('unlink', `${folder}/c`);
		await doing('unlink', `${folder}/b`);
		transfer.rmdir(folder, done);
	});
}

function http(stream) {
	let said = '';
	stream.on('data', (data) => { said += data; });
	stream.on('end', () => process.stdout.write(said.split('\r\n\r\n')[1] || '', () => process.exit(0)));
	stream.write('GET / HTTP/1.0\r\nHost: localhost\r\n\r\n');
}

// The page comes from this end, out of the channel that the server opens.
const serve = (accept) => {
	const visitor = accept();
	visitor.once('data', () => visitor.end(page));
};

function remote(port) {
	connect({}, (client) => {
		client.on('tcp connection', (info, accept) => serve(accept));
		client.forwardIn('localhost', Number(port), finish((bound) =>
			client.exec(`curl -s -m 5 http://localhost:${bound || port}/`, finish((stream) => follow(stream, false)))));
	});
}

function remoteUnix() {
	const path = `/tmp/interop.${FREE_PORT}`;
	connect({}, (client) => {
		client.on('unix connection', (info, accept) => serve(accept));
		client.openssh_forwardInStreamLocal(path, finish(() =>
			client.exec(`curl -s -m 5 --unix-socket ${path} http://x/; rm -f ${path}`, finish((stream) => follow(stream, false)))));
	});
}

function x11(command) {
	connect({}, (client) => {
		client.on('x11', (info, accept) => {
			const visitor = accept();
			visitor.once('data', () => visitor.end('hello from the display\n'));
		});
		client.exec(command, { x11: true }, finish((stream) => follow(stream, false)));
	});
}

const verbs = {
	run: (command) => run(command),
	shell: () => connect({}, (client) => client.shell(false, finish((stream) => follow(stream, true)))),
	env: (name, value, command) => run(command, {}, { env: { [name]: value } }, false),
	pty: (first, command) => run(command, {}, terminal(first), false),
	resize, signal, many, x11,
	compress: (command) => run(command, { algorithms: { compress: ['zlib@openssh.com', 'none'] } }),
	keepalive: (command) => run(command, { keepaliveInterval: 1000, keepaliveCountMax: 2 }, {}, false),
	'sftp-put': (from, to) => sftp((transfer, done) => transfer.fastPut(from, to, done)),
	'sftp-get': (from, to) => sftp((transfer, done) => transfer.fastGet(from, to, done)),
	'sftp-tree': tree,
	local: () => connect({}, (client) => client.forwardOut('127.0.0.1', 1, 'localhost', 80, finish(http))),
	remote: () => remote(FREE_PORT),
	'remote-any': () => remote(0),
	'remote-unix': remoteUnix,
	agent: (command) => run(command, { agent: SSH_AUTH_SOCK, agentForward: true }, {}, false),
};
if (!verbs[verb]) process.exit(77);
verbs[verb](...args);
