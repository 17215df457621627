// Greedy decoding with onnxruntime-node: node run_in_node.cjs MODELS INPUTS.json, tokens as JSON on standard output.
const fs = require("fs");
const path = require("path");
const ort = require("onnxruntime-node");

const [folder, inputsFile] = process.argv.slice(2);
const { start, end, longest, items } = JSON.parse(fs.readFileSync(inputsFile));

const integers = (values) => new ort.Tensor("int64", BigInt64Array.from(values, BigInt), [1, values.length]);

function floats({ base64, shape }) {
  const bytes = Buffer.from(base64, "base64");
  const values = new Float32Array(bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.length));
  return new ort.Tensor("float32", values, shape);
}

async function run(session, values) {
  return session.run(Object.fromEntries(session.inputNames.map((name) => [name, values[name]])));
}

function likeliest(logits) {
  const [, length, words] = logits.dims;
  const last = logits.data.subarray((length - 1) * words);
  return last.reduce((best, value, token) => (value > last[best] ? token : best), 0);
}

async function main() {
  const open = (name) => ort.InferenceSession.create(path.join(folder, `${name}.onnx`));
  const vision = await open("vision_model");
  const question = fs.existsSync(path.join(folder, "text_encoder_model.onnx")) && (await open("text_encoder_model"));
  const first = await open("decoder_model");
  const later = await open("decoder_with_past_model");
  const texts = [];
  for (const item of items) {
    let source = (await run(vision, { pixel_values: floats(item.pixels) })).last_hidden_state;
    if (item.question) {
      const ids = integers(item.question);
      const mask = integers(item.question.map(() => 1));
      source = (await run(question, { input_ids: ids, attention_mask: mask, encoder_hidden_states: source }))
        .last_hidden_state;
    }
    const known = { encoder_hidden_states: source, encoder_attention_mask: integers(Array(source.dims[1]).fill(1)) };
    const text = [start];
    for (let step = first; text.length <= longest; step = later) {
      const made = await run(step, { ...known, input_ids: integers(text.slice(-1)) });
      for (const name of step.outputNames) known[name.replace("present", "past_key_values")] = made[name];
      const token = likeliest(made.logits);
      if (token === end) break;
      text.push(token);
    }
    texts.push(text);
  }
  console.log(JSON.stringify(texts));
}

main();
