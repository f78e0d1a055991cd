#include "base/json_full.h"
#include "domain/job_json.h"
#include "media/metadata.h"

namespace pixelfleet::media {

std::string spec_json(const PictureFacts& facts) {
  const EffectiveImage& effective = facts.image.effective;
  const Json json = {
      {"schema", kSpecSchema},
      {"program", "PixelFleet"},
      {"version", std::string(facts.version)},
      {"job_id", facts.job.id.value},
      {"index", facts.image.index},
      {"seed", facts.image.seed},
      {"demo", facts.image.demo},
      {"created_at_ms", to_unix_ms(facts.job.created_at)},
      {"requested", to_json(facts.job.requested)},
      {"settings", to_json(facts.job.settings)},
      {"size",
       {{"width", effective.width},
        {"height", effective.height},
        {"generated_width", facts.generated_width},
        {"generated_height", facts.generated_height}}},
      {"model",
       {{"key", facts.model.key},
        {"title", facts.model.title},
        {"family", facts.model.family},
        {"hub_id", facts.model.hub_id}}},
      {"effective",
       {{"model_hash", effective.model_hash},
        {"engine", effective.engine},
        {"engine_version", effective.engine_version},
        {"gpu", effective.gpu},
        {"seconds", effective.seconds},
        {"width", effective.width},
        {"height", effective.height}}},
      {"warnings", facts.job.warnings},
  };
  return to_text(json);
}

}  // namespace pixelfleet::media
